//! One array in NumPy's format, wherever it stands: in a body of its own or in an archive.

use bytes::Bytes;
use half::f16;
use ndarray::{ArrayViewD, IxDyn, ShapeBuilder};

use super::header::{parse, Dtype, Header, Kind};
use crate::codec::element::{empty, owned, Element, Misfit};
use crate::codec::error::{misfit, quoted, unreadable};
use crate::codec::DecodeError;
use crate::each_type;
use crate::tensor::{element_count, Buffer, Data, ElementType};

/// A string and the smallest block that its text takes.
const STRING_BYTES: usize = size_of::<String>() + 32;

/// Where an array stands and who takes it, for messages.
#[derive(Debug, Clone, Copy)]
pub(in crate::codec) struct Origin<'a> {
    /// The member of an archive; `None` where the body is the array.
    pub(in crate::codec) member: Option<&'a str>,
    /// The input that takes its elements; `None` where they are a part of something else.
    pub(in crate::codec) input: Option<&'a str>,
}

impl Origin<'_> {
    fn file(&self) -> String {
        self.member
            .map_or_else(|| "body".to_owned(), |m| format!("member {}", quoted(m)))
    }

    fn of(&self) -> String {
        self.member
            .map_or_else(String::new, |m| format!(" of member {}", quoted(m)))
    }

    fn taker(&self) -> String {
        self.input
            .map_or_else(|| self.file(), |name| format!("input {name}"))
    }
}

/// An array whose header has been read and whose bytes are as many as the header says.
#[derive(Debug)]
pub(in crate::codec) struct Array<'a> {
    origin: Origin<'a>,
    header: Header,
    bytes: Bytes,
}

impl<'a> Array<'a> {
    /// Reads the header and checks the length.
    ///
    /// # Errors
    /// [`DecodeError::Unreadable`] with the reason.
    pub(in crate::codec) fn parse(file: &Bytes, origin: Origin<'a>) -> Result<Self, DecodeError> {
        let header = parse(file).map_err(|what| {
            let file = origin.file();
            unreadable(format!("{file} is not a readable npy file: {what}"))
        })?;
        let bytes = file.slice(header.data_at..);
        check_length(&header, bytes.len(), &origin.of())?;
        Ok(Self {
            origin,
            header,
            bytes,
        })
    }

    /// Sizes of the axes, outermost first.
    pub(in crate::codec) fn shape(&self) -> &[usize] {
        &self.header.shape
    }

    /// The element type that holds the array as it is; text is string.
    pub(in crate::codec) fn own_type(&self) -> ElementType {
        let dtype = &self.header.dtype;
        match (dtype.kind, dtype.size) {
            (Kind::Bool, _) => ElementType::Bool,
            (Kind::Signed, 1) => ElementType::Int8,
            (Kind::Signed, 2) => ElementType::Int16,
            (Kind::Signed, 4) => ElementType::Int32,
            (Kind::Signed, _) => ElementType::Int64,
            (Kind::Unsigned, 1) => ElementType::Uint8,
            (Kind::Unsigned, 2) => ElementType::Uint16,
            (Kind::Unsigned, 4) => ElementType::Uint32,
            (Kind::Unsigned, _) => ElementType::Uint64,
            (Kind::Float, 2) => ElementType::Float16,
            (Kind::Float, 4) => ElementType::Float32,
            (Kind::Float, _) => ElementType::Float64,
            (Kind::Text | Kind::Bytes, _) => ElementType::String,
        }
    }

    /// Bytes that [`Array::read`] takes beyond those of the array itself, apart from a copy that
    /// only puts elements at aligned addresses.
    pub(in crate::codec) fn cost(&self, element: ElementType) -> usize {
        let dtype = &self.header.dtype;
        let count = self.bytes.len() / dtype.size;
        let converted = match element.size() {
            Some(size) => count.saturating_mul(size),
            None => count
                .saturating_mul(STRING_BYTES)
                .saturating_add(self.bytes.len()),
        };
        let moved = self.moves_bytes(element) || self.own_type() != element;
        let times = usize::from(moved) + usize::from(is_transposed(&self.header));
        converted.saturating_mul(times)
    }

    /// Whether elements of the same type are yet not used as they are.
    fn moves_bytes(&self, element: ElementType) -> bool {
        let dtype = &self.header.dtype;
        (dtype.big_endian && dtype.size > 1)
            || matches!(element, ElementType::Bool | ElementType::String)
    }

    /// Checks that elements of this type can be made of the array, whatever their values.
    ///
    /// # Errors
    /// [`DecodeError::Misfit`] naming both types.
    pub(in crate::codec) fn check_kind(&self, element: ElementType) -> Result<(), DecodeError> {
        let possible = match self.header.dtype.kind {
            Kind::Float => element.is_float(),
            Kind::Text | Kind::Bytes => element == ElementType::String,
            Kind::Bool | Kind::Signed | Kind::Unsigned => element != ElementType::String,
        };
        if possible {
            return Ok(());
        }
        Err(misfit(format!(
            "{}: npy dtype {} does not become {element}",
            self.origin.taker(),
            self.header.dtype.name
        )))
    }

    /// The elements in row-major order: in place where type, byte order and alignment allow it.
    ///
    /// # Errors
    /// [`DecodeError::Misfit`] for a type or a value that does not become `element`.
    pub(in crate::codec) fn read(&self, element: ElementType) -> Result<Data, DecodeError> {
        let data = match in_place(&self.header, element, &self.bytes) {
            Some(data) => data,
            None => self.convert(&self.header.dtype, element, &self.bytes)?,
        };
        Ok(if is_transposed(&self.header) {
            to_row_major(data, &self.header.shape)
        } else {
            data
        })
    }

    /// Elements of [`Array::own_type`] that were made of the array's, as `element`.
    ///
    /// # Errors
    /// As [`Array::read`].
    pub(in crate::codec) fn retype(
        &self,
        own: Data,
        element: ElementType,
    ) -> Result<Data, DecodeError> {
        if own.element_type() == element {
            return Ok(own);
        }
        let dtype = Dtype {
            big_endian: false,
            ..self.header.dtype.clone()
        };
        let bytes: &[u8] = match &own {
            Data::Bool(elements) => bytemuck::cast_slice(elements),
            Data::Int8(elements) => bytemuck::cast_slice(elements),
            Data::Int16(elements) => bytemuck::cast_slice(elements),
            Data::Int32(elements) => bytemuck::cast_slice(elements),
            Data::Int64(elements) => bytemuck::cast_slice(elements),
            Data::Uint8(elements) => bytemuck::cast_slice(elements),
            Data::Uint16(elements) => bytemuck::cast_slice(elements),
            Data::Uint32(elements) => bytemuck::cast_slice(elements),
            Data::Uint64(elements) => bytemuck::cast_slice(elements),
            Data::Float16(elements) => bytemuck::cast_slice(elements),
            Data::Float32(elements) => bytemuck::cast_slice(elements),
            Data::Float64(elements) => bytemuck::cast_slice(elements),
            // No array is of the one, and the other becomes nothing else.
            Data::BFloat16(_) | Data::String(_) => return Ok(own),
        };
        self.convert(&dtype, element, bytes)
    }

    fn convert(
        &self,
        dtype: &Dtype,
        element: ElementType,
        bytes: &[u8],
    ) -> Result<Data, DecodeError> {
        self.check_kind(element)?;
        let mut data = empty(element);
        each_type!(&mut data, buffer => {
            let out = owned(buffer);
            out.reserve_exact(bytes.len() / dtype.size);
            elements(out, dtype, bytes)
        })
        .map_err(|(index, found)| {
            misfit(format!(
                "{}: element {index} of the npy array is {}",
                self.origin.taker(),
                found.describe(element)
            ))
        })?;
        Ok(data)
    }
}

fn check_length(header: &Header, found: usize, of: &str) -> Result<(), DecodeError> {
    let Header { dtype, shape, .. } = header;
    let needed = element_count(shape).and_then(|count| count.checked_mul(dtype.size));
    match needed {
        Some(needed) if needed == found => Ok(()),
        Some(needed) => {
            let how = if found < needed {
                "truncated"
            } else {
                "too long"
            };
            Err(unreadable(format!(
                "npy data{of} is {how}: shape {shape:?} of {} needs {needed} bytes, \
                 {found} follow the header",
                dtype.name
            )))
        }
        None => Err(unreadable(format!("npy shape {shape:?}{of} is too large"))),
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
                std::str::from_utf8(chunk.get(..end).unwrap_or_default())
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

/// Elements in Fortran order, put into row-major order. Axes of size 1 order nothing and cost a step
/// per element each, so they are left out.
fn to_row_major(mut data: Data, shape: &[usize]) -> Data {
    let axes: Vec<usize> = shape.iter().copied().filter(|&size| size != 1).collect();
    each_type!(&mut data, buffer => {
        let view = ArrayViewD::from_shape(IxDyn(&axes).f(), buffer);
        // The length has been checked against the shape, so the view exists.
        if let Ok(view) = view {
            let ordered: Vec<_> = view.iter().cloned().collect();
            *buffer = Buffer::Owned(ordered);
        }
    });
    data
}
