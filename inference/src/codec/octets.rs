//! `application/octet-stream`: the elements of one tensor and nothing else, little-endian and
//! row-major.
//!
//! In: for a model of one input whose shape at most one axis leaves open, which takes what the body
//! brings. A body that is aligned for its elements stays where it is. A string input of one element
//! takes the whole body as its text. Out: for one output of numbers.

use bytemuck::Pod;
use bytes::Bytes;

use super::conform;
use super::error::misfit;
use super::json;
use super::{DecodeError, EncodeError, Named};
use crate::each_type;
use crate::model::{Dim, Port, Signature};
use crate::tensor::{Buffer, Data, ElementType, Tensor, Value};

/// Reads the one input of a model.
///
/// # Errors
/// [`DecodeError::Misfit`]: several inputs, more than one free axis, or another number of bytes
/// than the shape takes.
pub(super) fn decode(body: &Bytes, signature: &Signature) -> Result<Vec<Tensor>, DecodeError> {
    let [port] = signature.inputs.as_slice() else {
        return Err(misfit(format!(
            "application/octet-stream brings one tensor, and the model has {} inputs",
            signature.inputs.len()
        )));
    };
    let element = conform::element(port)?;
    let Some((_, Some(dims))) = port.tensor() else {
        return Err(misfit(format!(
            "bare bytes do not fit input {port}: it declares no axes; use json or npy"
        )));
    };
    let free = dims.iter().filter(|dim| !matches!(dim, Dim::Fixed(_)));
    if free.count() > 1 {
        return Err(misfit(format!(
            "bare bytes do not fit input {port}: more than one of its axes is free; use json or npy"
        )));
    }
    let step = dims.iter().try_fold(1usize, |step, dim| match dim {
        Dim::Fixed(size) => step.checked_mul(*size),
        _ => Some(step),
    });
    let is_open = dims.iter().any(|dim| !matches!(dim, Dim::Fixed(_)));
    // Four bytes of a number are hardly ever text, let alone JSON; bytes of an image may be.
    if element.size() > Some(1)
        && body.first().is_some_and(|byte| b"[{".contains(byte))
        && json::is_json(body)
    {
        return Err(misfit(format!(
            "input {port}: the body is json, and application/octet-stream means bare elements; \
             send it as application/json"
        )));
    }
    let (free, data) = match element.size() {
        Some(size) => {
            let step = step.and_then(|step| step.checked_mul(size)).unwrap_or(0);
            let fits = match is_open {
                true => step > 0 && body.len().is_multiple_of(step),
                false => step == body.len(),
            };
            if !fits {
                return Err(length(port, step, is_open, body.len()));
            }
            let data = numbers(element, body.clone())
                .map_err(|what| misfit(format!("input {}: {what}", port.name)))?;
            (body.len().checked_div(step).unwrap_or(0), data)
        }
        None if step == Some(1) => {
            let text = std::str::from_utf8(body).map_err(|_| {
                misfit(format!(
                    "input {}: the body is not utf-8 text, string is expected",
                    port.name
                ))
            })?;
            (1, Data::String(vec![text.to_owned()].into()))
        }
        None => {
            return Err(misfit(format!(
                "bare bytes do not fit input {port}: they bring one string; use json or csv"
            )));
        }
    };
    let shape = dims
        .iter()
        .map(|dim| match dim {
            Dim::Fixed(size) => *size,
            _ => free,
        })
        .collect();
    let inputs = vec![conform::tensor(port, shape, data)?];
    conform::check(signature, &inputs)?;
    Ok(inputs)
}

fn length(port: &Port, step: usize, is_open: bool, found: usize) -> DecodeError {
    let multiple = if is_open { "a multiple of " } else { "" };
    misfit(format!(
        "input {port}: {found} bytes where {multiple}{step} is expected; \
         application/octet-stream means bare little-endian elements, \
         text needs its own content type (application/json, text/csv)"
    ))
}

/// Little-endian bytes as elements of a type of fixed size; in place where they are aligned.
///
/// # Errors
/// What is wrong with them.
pub(super) fn numbers(element: ElementType, bytes: Bytes) -> Result<Data, String> {
    fn of<T: Pod + Send + Sync>(bytes: Bytes, wrap: fn(Buffer<T>) -> Data) -> Result<Data, String> {
        let found = bytes.len();
        Buffer::from_body(bytes).map(wrap).ok_or_else(|| {
            let size = size_of::<T>();
            format!("{found} bytes are no whole number of elements of {size} bytes")
        })
    }
    match element {
        ElementType::Bool => Buffer::flags_from_body(bytes)
            .map(Data::Bool)
            .map_err(|at| format!("byte {at} is neither 0 nor 1 where bool is expected")),
        ElementType::Int8 => of(bytes, Data::Int8),
        ElementType::Int16 => of(bytes, Data::Int16),
        ElementType::Int32 => of(bytes, Data::Int32),
        ElementType::Int64 => of(bytes, Data::Int64),
        ElementType::Uint8 => of(bytes, Data::Uint8),
        ElementType::Uint16 => of(bytes, Data::Uint16),
        ElementType::Uint32 => of(bytes, Data::Uint32),
        ElementType::Uint64 => of(bytes, Data::Uint64),
        ElementType::Float16 => of(bytes, Data::Float16),
        ElementType::BFloat16 => of(bytes, Data::BFloat16),
        ElementType::Float32 => of(bytes, Data::Float32),
        ElementType::Float64 => of(bytes, Data::Float64),
        ElementType::String => Err("strings have no fixed size".to_owned()),
    }
}

/// Appends the elements of a tensor as little-endian bytes; strings each behind their length in
/// four bytes, as KServe's binary form has them.
pub(super) fn append(out: &mut Vec<u8>, data: &Data) {
    match data {
        Data::String(strings) => {
            for string in strings.iter() {
                // Longer strings than 4 GiB do not come out of a model that answers at all.
                let length = u32::try_from(string.len()).unwrap_or(u32::MAX);
                out.extend_from_slice(&length.to_le_bytes());
                out.extend_from_slice(string.as_bytes());
            }
        }
        Data::Bool(flags) => out.extend(flags.iter().map(|flag| u8::from(*flag))),
        Data::Int8(buffer) => out.extend_from_slice(bytemuck::cast_slice(buffer)),
        Data::Int16(buffer) => out.extend_from_slice(bytemuck::cast_slice(buffer)),
        Data::Int32(buffer) => out.extend_from_slice(bytemuck::cast_slice(buffer)),
        Data::Int64(buffer) => out.extend_from_slice(bytemuck::cast_slice(buffer)),
        Data::Uint8(buffer) => out.extend_from_slice(buffer),
        Data::Uint16(buffer) => out.extend_from_slice(bytemuck::cast_slice(buffer)),
        Data::Uint32(buffer) => out.extend_from_slice(bytemuck::cast_slice(buffer)),
        Data::Uint64(buffer) => out.extend_from_slice(bytemuck::cast_slice(buffer)),
        Data::Float16(buffer) => out.extend_from_slice(bytemuck::cast_slice(buffer)),
        Data::BFloat16(buffer) => out.extend_from_slice(bytemuck::cast_slice(buffer)),
        Data::Float32(buffer) => out.extend_from_slice(bytemuck::cast_slice(buffer)),
        Data::Float64(buffer) => out.extend_from_slice(bytemuck::cast_slice(buffer)),
    }
}

/// Bytes that [`append`] will write.
pub(super) fn size(data: &Data) -> usize {
    match data {
        Data::String(strings) => strings.iter().map(|string| 4 + string.len()).sum(),
        data => each_type!(data, buffer => size_of_val(&**buffer)),
    }
}

/// Writes the one output's elements.
///
/// # Errors
/// [`EncodeError::NotCarried`] for several outputs, strings, and what is no tensor.
pub(super) fn encode(outputs: &[Named<'_>]) -> Result<Vec<u8>, EncodeError> {
    let refuse = |what: String| {
        EncodeError::NotCarried(format!(
            "application/octet-stream cannot carry this reply: {what}"
        ))
    };
    let [output] = outputs else {
        return Err(refuse(format!(
            "it holds one tensor, and there are {} outputs",
            outputs.len()
        )));
    };
    match output.value {
        Value::Tensor(tensor) if tensor.element_type() != ElementType::String => {
            let mut out = Vec::with_capacity(size(tensor.data()));
            append(&mut out, tensor.data());
            Ok(out)
        }
        Value::Tensor(_) => Err(refuse(format!(
            "output {} is string, which has no fixed size",
            output.name
        ))),
        _ => Err(refuse(format!("output {} is no tensor", output.name))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::tests::{floats, mix, port, signature, strings, sum4, write_as};
    use crate::codec::{Dialect, Format};

    fn read(body: &[u8], signature: &Signature) -> Result<Vec<Tensor>, String> {
        decode(&Bytes::copy_from_slice(body), signature).map_err(|error| error.to_string())
    }

    fn bytes(values: &[f32]) -> Vec<u8> {
        values
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect()
    }

    #[test]
    fn the_free_axis_takes_what_the_body_brings() {
        let one = bytes(&[1.0, 2.0, 3.0, 4.0]);
        assert_eq!(
            read(&one, &sum4()),
            Ok(vec![floats(&[1, 4], &[1.0, 2.0, 3.0, 4.0])])
        );
        let two = bytes(&[1.0; 8]);
        assert_eq!(read(&two, &sum4()), Ok(vec![floats(&[2, 4], &[1.0; 8])]));
        let fixed = signature(vec![port("x", ElementType::Float32, "2,2")], vec![]);
        assert!(read(&one, &fixed).is_ok());
        let scalar = signature(vec![port("x", ElementType::Float32, "")], vec![]);
        assert_eq!(read(&one[..4], &scalar), Ok(vec![floats(&[], &[1.0])]));
    }

    #[test]
    fn an_aligned_body_is_not_copied() {
        let body = Bytes::from(bytes(&[1.0; 8]));
        let inputs = decode(&body, &sum4()).unwrap();
        let Data::Float32(buffer) = inputs[0].data() else {
            panic!("float32 is expected")
        };
        let aligned = body.as_ptr().align_offset(4) == 0;
        assert_eq!(aligned, buffer.as_ptr().cast::<u8>() == body.as_ptr());
    }

    #[test]
    fn what_does_not_fit_is_refused_with_the_expected_length() {
        let text = read(&[0; 15], &sum4()).unwrap_err();
        assert!(
            text.starts_with("input x float32[N,4]: 15 bytes where a multiple of 16 is expected"),
            "{text}"
        );
        let fixed = signature(vec![port("x", ElementType::Int64, "3")], vec![]);
        assert!(read(&[0; 16], &fixed)
            .unwrap_err()
            .contains("16 bytes where 24 is expected"));
        assert!(read(&[0; 16], &mix())
            .unwrap_err()
            .contains("the model has 2 inputs"));
        let open = signature(vec![port("x", ElementType::Float32, "N,L")], vec![]);
        assert!(read(&[0; 16], &open)
            .unwrap_err()
            .contains("more than one of its axes is free"));
        let any = signature(vec![port("x", ElementType::Float32, "*")], vec![]);
        assert!(read(&[0; 16], &any)
            .unwrap_err()
            .contains("it declares no axes"));
        let flags = signature(vec![port("x", ElementType::Bool, "N")], vec![]);
        assert_eq!(
            read(&[0, 1, 2], &flags),
            Err("input x: byte 2 is neither 0 nor 1 where bool is expected".to_owned())
        );
        let json = b"[[1, 2, 3, 4 ]] ";
        assert!(read(json, &sum4())
            .unwrap_err()
            .contains("send it as application/json"));
        let pixels = signature(vec![port("x", ElementType::Uint8, "N")], vec![]);
        assert!(read(json, &pixels).is_ok());
        let empty_axis = signature(vec![port("x", ElementType::Float32, "N,0")], vec![]);
        assert!(read(&[0; 4], &empty_axis).is_err());
    }

    #[test]
    fn a_string_input_of_one_element_takes_the_body_as_text() {
        let words = signature(vec![port("x", ElementType::String, "N")], vec![]);
        let inputs = read("ü, \"x\"".as_bytes(), &words).unwrap();
        assert_eq!(inputs[0].shape(), [1]);
        assert!(read(&[0xff], &words).unwrap_err().contains("not utf-8"));
    }

    #[test]
    fn one_output_of_numbers_is_its_bytes() {
        let write = |values: &[Value], signature: &Signature| {
            write_as(Format::Octets, &Dialect::Bare, values, signature)
                .map_err(|error| error.to_string())
        };
        let y = || Value::Tensor(floats(&[2, 1], &[10.0, 26.0]));
        assert_eq!(write(&[y()], &sum4()), Ok(bytes(&[10.0, 26.0])));
        let text = Value::Tensor(strings(&[1], &["a"]));
        assert!(write(&[text], &sum4())
            .unwrap_err()
            .contains("no fixed size"));
        assert!(write(&[y(), y()], &mix())
            .unwrap_err()
            .contains("there are 2 outputs"));
        assert!(write(&[Value::Absent], &sum4())
            .unwrap_err()
            .contains("no tensor"));
    }
}
