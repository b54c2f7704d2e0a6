//! An npy file → the tensor of the one input.

use bytes::Bytes;
use half::f16;
use ndarray::{ArrayViewD, IxDyn, ShapeBuilder};

use super::header::{parse, Dtype, Header, Kind};
use crate::codec::conform;
use crate::codec::element::{empty, take, Element, Misfit};
use crate::codec::error::{misfit, unreadable};
use crate::codec::DecodeError;
use crate::each_type;
use crate::model::{Port, Signature};
use crate::tensor::{element_count, Buffer, Data, ElementType, Tensor};

/// Reads the array for a model of one input.
///
/// # Errors
/// [`DecodeError`]: no npy file, a type or shape that does not fit, several inputs.
pub(in crate::codec) fn decode(
    body: &Bytes,
    signature: &Signature,
) -> Result<Vec<Tensor>, DecodeError> {
    let [port] = signature.inputs.as_slice() else {
        return Err(misfit(format!(
            "application/x-npy brings one array, and the model has {} inputs",
            signature.inputs.len()
        )));
    };
    let element = conform::element(port)?;
    let header = parse(body)
        .map_err(|what| unreadable(format!("body is not a readable npy file: {what}")))?;
    let bytes = body.slice(header.data_at..);
    check_length(&header, bytes.len())?;
    let mut data = match in_place(&header, element, &bytes) {
        Some(data) => data,
        None => convert(port, element, &header.dtype, &bytes)?,
    };
    if is_transposed(&header) {
        data = to_row_major(data, &header.shape);
    }
    let inputs = vec![conform::tensor(port, header.shape, data)?];
    conform::check(signature, &inputs)?;
    Ok(inputs)
}

fn check_length(header: &Header, found: usize) -> Result<(), DecodeError> {
    let Header { dtype, shape, .. } = header;
    let needed = element_count(shape).and_then(|count| count.checked_mul(dtype.size));
    match needed {
        Some(needed) if needed == found => Ok(()),
        Some(needed) => {
            Err(unreadable(format!(
            "npy data is {}: shape {shape:?} of {} needs {needed} bytes, {found} follow the header",
            if found < needed { "truncated" } else { "too long" },
            dtype.name
        )))
        }
        None => Err(unreadable(format!("npy shape {shape:?} is too large"))),
    }
}

/// Whether the elements' order differs from row-major.
fn is_transposed(header: &Header) -> bool {
    header.fortran && header.shape.iter().filter(|&&size| size != 1).count() > 1
}

/// The elements where they are, if they are of the input's type and byte order already.
fn in_place(header: &Header, element: ElementType, bytes: &Bytes) -> Option<Data> {
    let dtype = &header.dtype;
    if dtype.big_endian && dtype.size > 1 {
        return None;
    }
    let bytes = bytes.clone();
    let data = match (element, dtype.kind, dtype.size) {
        (ElementType::Int8, Kind::Signed, 1) => Data::Int8(Buffer::from_body(bytes)?),
        (ElementType::Int16, Kind::Signed, 2) => Data::Int16(Buffer::from_body(bytes)?),
        (ElementType::Int32, Kind::Signed, 4) => Data::Int32(Buffer::from_body(bytes)?),
        (ElementType::Int64, Kind::Signed, 8) => Data::Int64(Buffer::from_body(bytes)?),
        (ElementType::Uint8, Kind::Unsigned, 1) => Data::Uint8(Buffer::from_body(bytes)?),
        (ElementType::Uint16, Kind::Unsigned, 2) => Data::Uint16(Buffer::from_body(bytes)?),
        (ElementType::Uint32, Kind::Unsigned, 4) => Data::Uint32(Buffer::from_body(bytes)?),
        (ElementType::Uint64, Kind::Unsigned, 8) => Data::Uint64(Buffer::from_body(bytes)?),
        (ElementType::Float16, Kind::Float, 2) => Data::Float16(Buffer::from_body(bytes)?),
        (ElementType::Float32, Kind::Float, 4) => Data::Float32(Buffer::from_body(bytes)?),
        (ElementType::Float64, Kind::Float, 8) => Data::Float64(Buffer::from_body(bytes)?),
        _ => return None,
    };
    Some(data)
}

fn convert(
    port: &Port,
    element: ElementType,
    dtype: &Dtype,
    bytes: &[u8],
) -> Result<Data, DecodeError> {
    let possible = match dtype.kind {
        Kind::Float => element.is_float(),
        Kind::Text | Kind::Bytes => element == ElementType::String,
        Kind::Bool | Kind::Signed | Kind::Unsigned => element != ElementType::String,
    };
    if !possible {
        return Err(misfit(format!(
            "input {}: npy dtype {} does not become {element}",
            port.name, dtype.name
        )));
    }
    let mut data = empty(element);
    each_type!(&mut data, buffer => {
        let mut out = take(buffer);
        out.reserve(bytes.len() / dtype.size);
        let outcome = elements(&mut out, dtype, bytes);
        *buffer = Buffer::Owned(out);
        outcome
    })
    .map_err(|(index, found)| {
        misfit(format!(
            "input {}: element {index} of the npy array is {}",
            port.name,
            found.describe(element)
        ))
    })?;
    Ok(data)
}

/// Converts element by element; the error names the index.
fn elements<T: Element>(
    out: &mut Vec<T>,
    dtype: &Dtype,
    bytes: &[u8],
) -> Result<(), (usize, Misfit)> {
    for (index, chunk) in bytes.chunks_exact(dtype.size).enumerate() {
        let element = match dtype.kind {
            Kind::Bool => {
                let value = chunk.first().is_some_and(|byte| *byte != 0);
                T::boolean(value).or_else(|_| T::unsigned(u64::from(value)))
            }
            Kind::Unsigned => T::unsigned(bits(chunk, dtype.big_endian)),
            Kind::Signed => {
                let unused = 64 - 8 * chunk.len() as u32;
                match (bits(chunk, dtype.big_endian) << unused) as i64 >> unused {
                    number @ ..0 => T::signed(number),
                    number => T::unsigned(number as u64),
                }
            }
            Kind::Float => {
                let bits = bits(chunk, dtype.big_endian);
                T::float(match dtype.size {
                    2 => f64::from(f16::from_bits(bits as u16)),
                    4 => f64::from(f32::from_bits(bits as u32)),
                    _ => f64::from_bits(bits),
                })
            }
            Kind::Text => utf32(chunk, dtype.big_endian).and_then(|text| T::text(&text)),
            Kind::Bytes => {
                let end = chunk
                    .iter()
                    .rposition(|b| *b != 0)
                    .map_or(0, |last| last + 1);
                std::str::from_utf8(&chunk[..end])
                    .map_err(|_| Misfit::Kind("text that is not utf-8"))
                    .and_then(T::text)
            }
        };
        out.push(element.map_err(|misfit| (index, misfit))?);
    }
    Ok(())
}

/// Up to eight bytes as an integer.
fn bits(chunk: &[u8], big_endian: bool) -> u64 {
    let mut value = [0; 8];
    for (place, byte) in value.iter_mut().zip(chunk) {
        *place = *byte;
    }
    if big_endian {
        u64::from_be_bytes(value) >> (64 - 8 * chunk.len() as u32)
    } else {
        u64::from_le_bytes(value)
    }
}

fn utf32(chunk: &[u8], big_endian: bool) -> Result<String, Misfit> {
    let points = chunk
        .chunks_exact(4)
        .map(|point| bits(point, big_endian) as u32);
    let text: Option<String> = points.map(char::from_u32).collect();
    let mut text = text.ok_or(Misfit::Kind("text that is not unicode"))?;
    text.truncate(text.trim_end_matches('\0').len());
    Ok(text)
}

/// Elements in Fortran order, put into row-major order.
fn to_row_major(mut data: Data, shape: &[usize]) -> Data {
    each_type!(&mut data, buffer => {
        let view = ArrayViewD::from_shape(IxDyn(shape).f(), buffer);
        // The length has been checked against the shape, so the view exists.
        if let Ok(view) = view {
            let ordered: Vec<_> = view.iter().cloned().collect();
            *buffer = Buffer::Owned(ordered);
        }
    });
    data
}
