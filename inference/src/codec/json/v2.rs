//! The KServe v2 dialect: a list of named, shaped and typed inputs.

use serde::de::{self, IgnoredAny, MapAccess, SeqAccess};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::any::{Any, Context, Key, Scalar, Target};
use super::request::{member, Request};
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
        let mut shape: Option<Vec<usize>> = None;
        let mut datatype: Option<String> = None;
        let mut later: Option<&'de RawValue> = None;
        let mut behind: Option<usize> = None;
        let mut read = false;
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
                Field::Parameters => {
                    let what = "an input's \"parameters\" must be an object, its \
                                binary_data_size a number of bytes";
                    let parameters: Parameters = member(&mut object, context, what)?;
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
                _ => return Err(context.misfit("a key of an input is given twice")),
            }
        }
        let lacks = |what: &str| match input.and_then(|i| request.signature.inputs.get(i)) {
            Some(port) => context.misfit(format!("input {} lacks \"{what}\"", port.name)),
            None => context.misfit(format!("an input lacks \"{what}\"; {NO_OBJECT}")),
        };
        let input = input.ok_or_else(|| lacks("name"))?;
        let shape = shape.ok_or_else(|| lacks("shape"))?;
        let datatype = datatype.ok_or_else(|| lacks("datatype"))?;
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

/// The value of `outputs`: those asked for.
pub(super) fn outputs<'de, A: MapAccess<'de>>(
    request: &Request<'_>,
    object: &mut A,
) -> Result<Asked, A::Error> {
    #[derive(Deserialize)]
    struct Output {
        name: String,
        parameters: Option<Wishes>,
    }
    #[derive(Deserialize)]
    struct Wishes {
        binary_data: Option<bool>,
        classification: Option<IgnoredAny>,
        shared_memory_region: Option<IgnoredAny>,
    }
    let context = request.context;
    let what = "\"outputs\" must be a list of objects with a name";
    let asked: Vec<Output> = member(object, context, what)?;
    let mut positions = Vec::with_capacity(asked.len());
    let mut binary = Vec::new();
    for Output { name, parameters } in asked {
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
        if positions.contains(&position) {
            return Err(context.misfit(format!("output {name} is asked for twice")));
        }
        positions.push(position);
        let Some(wishes) = parameters else { continue };
        if wishes.classification.is_some() || wishes.shared_memory_region.is_some() {
            return Err(context.misfit(format!(
                "output {name}: classification and shared memory are not done here; \
                 ask for the tensor"
            )));
        }
        binary.extend(wishes.binary_data.map(|is_binary| (position, is_binary)));
    }
    Ok((positions, binary))
}
