//! The KServe v2 dialect: a list of named, shaped and typed inputs.

use serde::de::{self, IgnoredAny, MapAccess, SeqAccess};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::any::{members, Any, Axes, Context, Key, Scalar, Strange, Target};
use super::request::{member, Request};
use crate::codec::conform::{self, MOST_AXES};
use crate::codec::error::{misfit, quoted};
use crate::codec::DecodeError;
use crate::tensor::element_count;

/// One member of `inputs`; its keys come in any order.
pub(super) struct Entry<'r, 'a>(pub(super) &'r mut Request<'a>);

enum Field {
    Name,
    Shape,
    Datatype,
    Data,
    Parameters,
    Unknown(String),
}

impl Field {
    /// Its key, quoted.
    fn key(&self) -> &str {
        match self {
            Self::Name => "\"name\"",
            Self::Shape => "\"shape\"",
            Self::Datatype => "\"datatype\"",
            Self::Data => "\"data\"",
            Self::Parameters => "\"parameters\"",
            Self::Unknown(key) => key,
        }
    }
}

/// What is known of an input's `parameters`; others belong to servers that know them.
#[derive(Deserialize)]
struct Parameters {
    binary_data_size: Option<usize>,
    shared_memory_region: Option<IgnoredAny>,
}

const NO_OBJECT: &str =
    "every member of \"inputs\" must be an object with name, shape, datatype and data";

impl<'de> Target<'de> for Entry<'_, '_> {
    fn context(&self) -> &Context {
        self.0.context
    }

    fn number<E: de::Error>(self, _: &str) -> Result<(), E> {
        Err(self.0.context.misfit(NO_OBJECT))
    }

    fn scalar<E: de::Error>(self, _: Scalar<'_>) -> Result<(), E> {
        Err(self.0.context.misfit(NO_OBJECT))
    }

    fn list<A: SeqAccess<'de>>(self, _: A) -> Result<(), A::Error> {
        Err(self.0.context.misfit(NO_OBJECT))
    }

    fn object<A: MapAccess<'de>>(self, mut object: A) -> Result<(), A::Error> {
        let request = self.0;
        let context = request.context;
        let mut input: Option<usize> = None;
        let mut shape: Option<Axes> = None;
        let mut datatype: Option<String> = None;
        let mut later: Option<&'de RawValue> = None;
        let mut behind: Option<usize> = None;
        let mut read = false;
        let mut has_parameters = false;
        let key = |key: &str| match key {
            "name" => Field::Name,
            "shape" => Field::Shape,
            "datatype" => Field::Datatype,
            "data" => Field::Data,
            "parameters" => Field::Parameters,
            other => Field::Unknown(quoted(other)),
        };
        while let Some(field) = object.next_key_seed(Key(key))? {
            match field {
                Field::Name if input.is_none() => {
                    let name: String =
                        member(&mut object, context, "an input's \"name\" must be a string")?;
                    let Some(found) = request.signature.input(&name) else {
                        return Err(request.unknown_input(&name));
                    };
                    if let Some(column) = request.columns.get_mut(found) {
                        column.given += 1;
                        if column.given > 1 {
                            return Err(request.twice(found));
                        }
                    }
                    input = Some(found);
                }
                Field::Shape if shape.is_none() => {
                    let what = "an input's \"shape\" must be a list of non-negative integers";
                    shape = Some(member(&mut object, context, what)?);
                }
                Field::Datatype if datatype.is_none() => {
                    let what = "an input's \"datatype\" must be a string";
                    datatype = Some(member(&mut object, context, what)?);
                }
                Field::Data if !read && later.is_none() => match (input, &datatype) {
                    (Some(input), Some(datatype)) => {
                        read = true;
                        check_type(request, input, datatype).map_err(|e| context.refuse(e))?;
                        match request.slot(input, 0) {
                            Some(slot) => object.next_value_seed(Any(slot))?,
                            None => continue,
                        }
                    }
                    // Without its type the data stays text until the other keys have come.
                    _ => later = Some(object.next_value()?),
                },
                Field::Parameters if !has_parameters => {
                    has_parameters = true;
                    let what = "an input's \"parameters\" must be an object, its \
                                binary_data_size a number of bytes";
                    let parameters: Option<Parameters> = member(&mut object, context, what)?;
                    let Some(parameters) = parameters else {
                        continue;
                    };
                    if parameters.shared_memory_region.is_some() {
                        return Err(context.misfit("shared memory is not read here, send the data"));
                    }
                    behind = parameters.binary_data_size;
                }
                Field::Unknown(key) => {
                    return Err(
                        context.misfit(format!("unknown key {key} in an input; {NO_OBJECT}"))
                    );
                }
                again => {
                    let name = input.map_or("", |input| request.name(input));
                    let of = match name {
                        "" => "an input".to_owned(),
                        name => format!("input {name}"),
                    };
                    let key = again.key();
                    return Err(context.misfit(format!("key {key} of {of} is given twice")));
                }
            }
        }
        let lacks = |what: &str| match input.and_then(|i| request.signature.inputs.get(i)) {
            Some(port) => context.misfit(format!("input {} lacks \"{what}\"", port.name)),
            None => context.misfit(format!("an input lacks \"{what}\"; {NO_OBJECT}")),
        };
        let input = input.ok_or_else(|| lacks("name"))?;
        let Axes(shape) = shape.ok_or_else(|| lacks("shape"))?;
        let datatype = datatype.ok_or_else(|| lacks("datatype"))?;
        if let Some(port) = request.signature.inputs.get(input) {
            // What stands behind the json is not read yet, so a wrong shape costs nothing there.
            if shape.len() > MOST_AXES || behind.is_some() {
                conform::shape(request.signature, port, &shape).map_err(|e| context.refuse(e))?;
            }
        }
        if let Some(size) = behind {
            if read || later.is_some() {
                return Err(context.misfit(format!(
                    "input {} has both \"data\" and a binary_data_size",
                    request.name(input)
                )));
            }
            check_type(request, input, &datatype).map_err(|e| context.refuse(e))?;
            request.behind.push((input, size));
            if let Some(stated) = request.shapes.get_mut(input) {
                *stated = Some(shape);
            }
            return Ok(());
        }
        if !read {
            let data = later.ok_or_else(|| lacks("data"))?;
            check_type(request, input, &datatype).map_err(|e| context.refuse(e))?;
            if let Some(slot) = request.slot(input, 0) {
                slot.raw(data.get())?;
            }
        }
        settle(request, input, shape).map_err(|e| context.refuse(e))
    }
}

fn check_type(request: &Request<'_>, input: usize, datatype: &str) -> Result<(), DecodeError> {
    match request.columns.get(input) {
        Some(column) if column.element.v2_name() != datatype => Err(misfit(format!(
            "input {} has datatype {}, {} is expected",
            column.port.name,
            quoted(datatype),
            column.element.v2_name()
        ))),
        _ => Ok(()),
    }
}

/// Takes the stated shape where the data, flat or nested, agrees with it.
fn settle(request: &mut Request<'_>, input: usize, shape: Vec<usize>) -> Result<(), DecodeError> {
    let (Some(column), Some(stated)) = (request.columns.get(input), request.shapes.get_mut(input))
    else {
        return Ok(());
    };
    let (name, found) = (&column.port.name, column.data.len());
    if element_count(&shape) != Some(found) {
        return Err(misfit(format!(
            "input {name}: shape {shape:?} does not hold the {found} elements of its data"
        )));
    }
    let nesting = column.grid.shape();
    if nesting.len() > 1 && nesting != shape {
        return Err(misfit(format!(
            "input {name}: data is nested as {nesting:?}, its shape says {shape:?}"
        )));
    }
    *stated = Some(shape);
    Ok(())
}

/// Positions of outputs, and of some of them whether they shall be binary.
type Asked = (Vec<usize>, Vec<(usize, bool)>);

const NO_OUTPUTS: &str = "\"outputs\" must be a list of objects with a name";

/// The value of `outputs`: those asked for; `None` for `null`.
pub(super) fn outputs<'de, A: MapAccess<'de>>(
    request: &Request<'_>,
    object: &mut A,
) -> Result<Option<Asked>, A::Error> {
    let mut asked = None;
    object.next_value_seed(Any(Outputs {
        request,
        asked: &mut asked,
    }))?;
    Ok(asked)
}

struct Outputs<'r, 'a> {
    request: &'r Request<'a>,
    asked: &'r mut Option<Asked>,
}

impl<'de> Target<'de> for Outputs<'_, '_> {
    fn context(&self) -> &Context {
        self.request.context
    }

    fn number<E: de::Error>(self, _: &str) -> Result<(), E> {
        Err(self.request.context.misfit(NO_OUTPUTS))
    }

    fn scalar<E: de::Error>(self, scalar: Scalar<'_>) -> Result<(), E> {
        match scalar {
            Scalar::Null => Ok(()),
            _ => Err(self.request.context.misfit(NO_OUTPUTS)),
        }
    }

    fn object<A: MapAccess<'de>>(self, _: A) -> Result<(), A::Error> {
        Err(self.request.context.misfit(NO_OUTPUTS))
    }

    fn list<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let (positions, binary) = self.asked.insert(Asked::default());
        while let Some(text) = list.next_element()? {
            let (position, is_binary) = output(self.request, text)?;
            if positions.contains(&position) {
                let name = self.request.signature.outputs.get(position);
                let name = name.map_or("", |port| &port.name);
                let what = format!("output {name} is asked for twice");
                return Err(self.request.context.misfit(what));
            }
            positions.push(position);
            binary.extend(is_binary.map(|is_binary| (position, is_binary)));
        }
        Ok(())
    }
}

/// One member of `outputs`: its position, and whether it shall be binary if it says.
fn output<E: de::Error>(
    request: &Request<'_>,
    text: &RawValue,
) -> Result<(usize, Option<bool>), E> {
    /// Other wishes belong to servers that know them.
    #[derive(Deserialize)]
    struct Wishes {
        binary_data: Option<bool>,
        classification: Option<IgnoredAny>,
        shared_memory_region: Option<IgnoredAny>,
    }
    let context = request.context;
    let no_output = || context.misfit(NO_OUTPUTS);
    let [name, parameters] = members(text, ["name", "parameters"]).map_err(|what| match what {
        Strange::Kind => no_output(),
        Strange::Unknown(key) => {
            context.misfit(format!("unknown key {key} in an output; {NO_OUTPUTS}"))
        }
        Strange::Twice(key) => context.misfit(format!("key {key:?} of an output is given twice")),
    })?;
    let name: String = name
        .and_then(|name| serde_json::from_str(name.get()).ok())
        .ok_or_else(no_output)?;
    let Some(position) = request.signature.output(&name) else {
        let known: Vec<_> = request
            .signature
            .outputs
            .iter()
            .take(8)
            .map(|p| p.name.as_str())
            .collect();
        return Err(context.misfit(format!(
            "unknown output {}; the model's outputs are {}",
            quoted(&name),
            known.join(", ")
        )));
    };
    let wishes: Option<Wishes> = match parameters {
        Some(text) => serde_json::from_str(text.get()).map_err(|_| no_output())?,
        None => None,
    };
    let Some(wishes) = wishes else {
        return Ok((position, None));
    };
    if wishes.classification.is_some() || wishes.shared_memory_region.is_some() {
        return Err(context.misfit(format!(
            "output {name}: classification and shared memory are not done here; \
             ask for the tensor"
        )));
    }
    Ok((position, wishes.binary_data))
}
