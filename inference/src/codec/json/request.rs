//! The top of a JSON request: which dialect it is, and what is common to all of them.

use serde::de::{
    self, DeserializeOwned, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess,
};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::any::{Any, Context, Key, Scalar, Target};
use super::columns::Inputs;
use super::flat::{Column, Slot};
use super::rows::Instances;
use super::v2;
use crate::codec::budget::Budget;
use crate::codec::error::{misfit, quoted};
use crate::codec::layout::Layout;
use crate::codec::{conform, triton, DecodeError, Decoded, Dialect, Format, ReplyHint, V2};
use crate::model::Signature;
use bytes::Bytes;

/// What a JSON body may be, for messages.
const FORMS: &str = "a json array, {\"instances\":[…]}, {\"inputs\":{…}}, or kserve v2 \
                     {\"inputs\":[{\"name\",\"shape\",\"datatype\",\"data\"}]}";

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Bare,
    Instances,
    Columns,
    V2,
}

/// A request while it is read.
pub(super) struct Request<'a> {
    pub(super) signature: &'a Signature,
    pub(super) context: &'a Context,
    pub(super) columns: Vec<Column<'a>>,
    /// Made when the first flat row asks for it.
    pub(super) layout: Option<Layout<'a>>,
    /// The shapes that a v2 request states.
    pub(super) shapes: Vec<Option<Vec<usize>>>,
    pub(super) form: Option<Form>,
    /// Inputs whose elements lie behind the JSON, with their bytes, in the order of the JSON.
    pub(super) behind: Vec<(usize, usize)>,
    /// Whether each record is a line of its own.
    pub(super) is_lines: bool,
    /// Bytes that sparse records may still unfold to.
    pub(super) budget: Budget,
    wishes: V2,
    has_id: bool,
    has_outputs: bool,
    has_parameters: bool,
    /// A key that only v2 has.
    v2_key: Option<&'static str>,
}

/// Keys of the top object.
enum Top {
    Instances,
    Inputs,
    Id,
    Outputs,
    Parameters,
    Ignored,
    Unknown(String),
}

impl<'a> Request<'a> {
    pub(super) fn new(
        signature: &'a Signature,
        context: &'a Context,
        body_len: usize,
        unpacked_limit: usize,
    ) -> Result<Self, DecodeError> {
        // An element takes two bytes of text at least; what the model wants is set aside only where
        // the body is long enough to bring it.
        let room = body_len / 2 / signature.inputs.len().max(1);
        Ok(Self {
            signature,
            context,
            columns: signature
                .inputs
                .iter()
                .map(|port| Column::new(port, room))
                .collect::<Result<_, _>>()?,
            layout: None,
            shapes: Vec::new(),
            form: None,
            behind: Vec::new(),
            is_lines: false,
            budget: Budget::new(unpacked_limit),
            wishes: V2::default(),
            has_id: false,
            has_outputs: false,
            has_parameters: false,
            v2_key: None,
        })
    }

    pub(super) fn read<'de, D: Deserializer<'de>>(&mut self, body: D) -> Result<(), D::Error> {
        Any(Body(self)).deserialize(body)
    }

    /// The tensors, once the whole body has been read.
    pub(super) fn finish(mut self, tail: Option<&Bytes>) -> Result<Decoded, DecodeError> {
        let form = match (self.form, self.v2_key) {
            (Some(form), None) => form,
            (Some(Form::V2), Some(_)) => Form::V2,
            (Some(_), Some(key)) => {
                return Err(misfit(format!(
                    "{key:?} belongs to the kserve v2 form alone"
                )));
            }
            (None, _) if !self.columns.is_empty() => {
                return Err(misfit(format!(
                    "the body is no request; accepted are {FORMS}"
                )));
            }
            (None, Some(_)) => Form::V2,
            (None, None) => Form::Columns,
        };
        let missing: Vec<_> = self
            .columns
            .iter()
            .filter(|c| c.given == 0)
            .map(|c| c.port.name.as_str())
            .collect();
        if !missing.is_empty() {
            let inputs = if missing.len() == 1 {
                "input"
            } else {
                "inputs"
            };
            return Err(misfit(format!("missing {inputs} {}", listed(&missing))));
        }
        match tail {
            Some(_) if form != Form::V2 => {
                return Err(misfit(
                    "the json part of a binary body must be kserve v2 \
                     {\"inputs\":[{\"name\",\"shape\",\"datatype\",…}]}",
                ));
            }
            Some(tail) => self.take_from(tail)?,
            None => {
                if let Some((input, _)) = self.behind.first() {
                    return Err(misfit(format!(
                        "input {} has a binary_data_size, and no json-header-size says where its \
                         bytes begin",
                        self.name(*input)
                    )));
                }
            }
        }
        let mut shapes = self.shapes.into_iter();
        let mut inputs = Vec::with_capacity(self.columns.len());
        for column in self.columns {
            let stated = shapes.next().flatten();
            let shape = stated.unwrap_or_else(|| column.grid.into_shape());
            inputs.push(conform::tensor(column.port, shape, column.data)?);
        }
        conform::check(self.signature, &inputs)?;
        let dialect = match form {
            Form::Bare => Dialect::Bare,
            Form::Instances => Dialect::Instances,
            Form::Columns => Dialect::Columns,
            Form::V2 => Dialect::V2(self.wishes),
        };
        let format = match (self.is_lines, tail) {
            (true, _) => Format::JsonLines,
            (false, Some(_)) => Format::Triton,
            (false, None) => Format::Json,
        };
        Ok(Decoded {
            inputs,
            reply: ReplyHint { format, dialect },
        })
    }

    /// Gives the inputs that lie behind the JSON their elements.
    fn take_from(&mut self, tail: &Bytes) -> Result<(), DecodeError> {
        let mut at = 0usize;
        for (input, size) in std::mem::take(&mut self.behind) {
            let Some(column) = self.columns.get_mut(input) else {
                continue;
            };
            let name = &column.port.name;
            let end = at.checked_add(size).filter(|end| *end <= tail.len());
            let Some(end) = end else {
                return Err(misfit(format!(
                    "input {name}: its binary_data_size is {size}, and {} bytes are left behind \
                     the json",
                    tail.len() - at
                )));
            };
            column.data = triton::elements(column.element, tail.slice(at..end))
                .map_err(|what| misfit(format!("input {name}: {what}")))?;
            at = end;
        }
        match tail.len() - at {
            0 => Ok(()),
            surplus => Err(misfit(format!(
                "{surplus} bytes behind the json belong to no input"
            ))),
        }
    }

    pub(super) fn name(&self, input: usize) -> &str {
        self.signature
            .inputs
            .get(input)
            .map_or("", |port| &port.name)
    }

    /// A record in words.
    pub(super) fn record(&self, row: usize) -> String {
        match self.is_lines {
            true => "the record".to_owned(),
            false => format!("instances[{row}]"),
        }
    }

    /// The one input of a model that has one, to be filled at `depth`.
    pub(super) fn sole<E: de::Error>(&mut self, depth: usize) -> Result<Slot<'_, 'a>, E> {
        let context = self.context;
        match self.columns.as_mut_slice() {
            [column] => {
                column.given += 1;
                Ok(Slot {
                    column,
                    context,
                    depth,
                })
            }
            [] => Err(context.misfit("the model has no inputs; send {} or an empty body")),
            _ => Err(context.misfit(format!(
                "the model has several inputs, name them ({})",
                input_names(self.signature)
            ))),
        }
    }

    pub(super) fn slot(&mut self, input: usize, depth: usize) -> Option<Slot<'_, 'a>> {
        Some(Slot {
            column: self.columns.get_mut(input)?,
            context: self.context,
            depth,
        })
    }

    pub(super) fn unknown_input<E: de::Error>(&self, name: &str) -> E {
        self.context.misfit(format!(
            "unknown input {}; the model's inputs are {}",
            quoted(name),
            input_names(self.signature)
        ))
    }

    pub(super) fn twice<E: de::Error>(&self, input: usize) -> E {
        let name = self.name(input);
        self.context.misfit(format!("input {name} is given twice"))
    }

    pub(super) fn settle<E: de::Error>(&mut self, form: Form) -> Result<(), E> {
        if self.form.is_some() {
            return Err(self
                .context
                .misfit("instances or inputs must be given once, and not both"));
        }
        self.form = Some(form);
        Ok(())
    }

    /// Notes a key that only v2 has; one that is `null` counts as absent.
    fn v2_key<E: de::Error>(
        &mut self,
        key: &'static str,
        seen: impl Fn(&mut Self) -> &mut bool,
        is_given: bool,
    ) -> Result<(), E> {
        if std::mem::replace(seen(self), true) {
            return Err(self.context.misfit(format!("{key:?} is given twice")));
        }
        if is_given {
            self.v2_key = Some(key);
        }
        Ok(())
    }
}

fn input_names(signature: &Signature) -> String {
    let names: Vec<_> = signature
        .inputs
        .iter()
        .map(|port| port.name.as_str())
        .collect();
    listed(&names)
}

/// Names for a message; a wide table needs no list of all of them.
fn listed(names: &[&str]) -> String {
    const SHOWN: usize = 8;
    match names.len().checked_sub(SHOWN) {
        Some(more) if more > 0 => format!("{} and {more} more", names[..SHOWN].join(", ")),
        _ => names.join(", "),
    }
}

/// A member of an object as a plain type; `what` says what it should have been.
pub(super) fn member<'de, T: DeserializeOwned, A: MapAccess<'de>>(
    object: &mut A,
    context: &Context,
    what: &str,
) -> Result<T, A::Error> {
    // By way of its text, so that broken JSON and a wrong kind of value are told apart.
    let raw: &'de RawValue = object.next_value()?;
    serde_json::from_str(raw.get()).map_err(|_| context.misfit(what))
}

/// The whole body.
struct Body<'r, 'a>(&'r mut Request<'a>);

impl<'de> Target<'de> for Body<'_, '_> {
    fn context(&self) -> &Context {
        self.0.context
    }

    fn number<E: de::Error>(self, text: &str) -> Result<(), E> {
        self.0.settle(Form::Bare)?;
        self.0.sole(0)?.number(text)
    }

    fn scalar<E: de::Error>(self, scalar: Scalar<'_>) -> Result<(), E> {
        self.0.settle(Form::Bare)?;
        self.0.sole(0)?.scalar(scalar)
    }

    fn list<A: SeqAccess<'de>>(self, list: A) -> Result<(), A::Error> {
        self.0.settle(Form::Bare)?;
        self.0.sole(0)?.list(list)
    }

    fn object<A: MapAccess<'de>>(self, mut object: A) -> Result<(), A::Error> {
        let request = self.0;
        let key = |key: &str| match key {
            "instances" => Top::Instances,
            "inputs" => Top::Inputs,
            "id" => Top::Id,
            "outputs" => Top::Outputs,
            "parameters" => Top::Parameters,
            // TF Serving's and the built-in algorithms'; one model has one signature.
            "signature_name" | "configuration" => Top::Ignored,
            other => Top::Unknown(quoted(other)),
        };
        while let Some(key) = object.next_key_seed(Key(key))? {
            match key {
                Top::Instances => {
                    request.settle(Form::Instances)?;
                    object.next_value_seed(Any(Instances(request)))?;
                }
                Top::Inputs => object.next_value_seed(Any(Inputs(request)))?,
                Top::Id => {
                    let id: Option<String> =
                        member(&mut object, request.context, "\"id\" must be a string")?;
                    request.v2_key("id", |r| &mut r.has_id, id.is_some())?;
                    request.wishes.id = id;
                }
                Top::Outputs => {
                    let asked = v2::outputs(request, &mut object)?;
                    request.v2_key("outputs", |r| &mut r.has_outputs, asked.is_some())?;
                    if let Some((positions, binary)) = asked {
                        // An empty list asks for nothing in particular, as for Triton.
                        request.wishes.outputs = Some(positions).filter(|p| !p.is_empty());
                        request.wishes.binary = binary;
                    }
                }
                Top::Parameters => {
                    /// Other parameters belong to servers that know them.
                    #[derive(Deserialize)]
                    struct Parameters {
                        #[serde(default)]
                        binary_data_output: bool,
                        sequence_id: Option<IgnoredAny>,
                    }
                    let what = "\"parameters\" must be an object, its binary_data_output a bool";
                    let parameters: Option<Parameters> =
                        member(&mut object, request.context, what)?;
                    request.v2_key(
                        "parameters",
                        |r| &mut r.has_parameters,
                        parameters.is_some(),
                    )?;
                    let Some(parameters) = parameters else {
                        continue;
                    };
                    if parameters.sequence_id.is_some() {
                        return Err(request.context.misfit(
                            "sequences are not kept here, every request is answered by itself; \
                             leave \"sequence_id\" out",
                        ));
                    }
                    request.wishes.binary_by_default = parameters.binary_data_output;
                }
                Top::Ignored => {
                    object.next_value::<IgnoredAny>()?;
                }
                Top::Unknown(key) => {
                    return Err(request
                        .context
                        .misfit(format!("unknown key {key}; accepted are {FORMS}")));
                }
            }
        }
        Ok(())
    }
}

/// The position of an input by name, tried first where the signature's order expects it; the name
/// where there is none.
pub(super) fn find(signature: &Signature, name: &str, expected: usize) -> Result<usize, String> {
    match signature.inputs.get(expected) {
        Some(port) if port.name == name => Ok(expected),
        _ => signature.input(name).ok_or_else(|| name.to_owned()),
    }
}
