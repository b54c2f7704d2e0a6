//! Just enough protobuf to look into an ONNX file: fields and varints, nothing kept.

/// One field: its number and its payload.
#[derive(Debug, Clone, Copy)]
pub struct Field<'a> {
    /// Field number.
    pub number: u64,
    /// Payload.
    pub value: Wire<'a>,
    /// The whole field, key included, for copying it unchanged.
    pub raw: &'a [u8],
}

/// A field's payload.
#[derive(Debug, Clone, Copy)]
pub enum Wire<'a> {
    /// Varint.
    Varint(u64),
    /// Length-delimited: string, bytes, message or packed numbers.
    Bytes(&'a [u8]),
    /// Fixed 32 or 64 bits, which this reader has no use for.
    Fixed,
}

impl<'a> Field<'a> {
    /// The payload as bytes; empty for other wire types.
    pub fn bytes(&self) -> &'a [u8] {
        match self.value {
            Wire::Bytes(bytes) => bytes,
            _ => &[],
        }
    }

    /// The payload as text, invalid UTF-8 replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(self.bytes()).into_owned()
    }

    /// The payload as a number; 0 for other wire types.
    pub fn number_value(&self) -> u64 {
        match self.value {
            Wire::Varint(value) => value,
            _ => 0,
        }
    }
}

/// The bytes are not a protobuf message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed;

/// The fields of one message, in order.
pub struct Fields<'a> {
    rest: &'a [u8],
}

/// Starts reading a message.
pub fn fields(message: &[u8]) -> Fields<'_> {
    Fields { rest: message }
}

/// A varint from the front of `bytes`, and what follows it.
pub fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0u64;
    for (i, &byte) in bytes.iter().take(10).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * i);
        if byte & 0x80 == 0 {
            return Some((value, &bytes[i + 1..]));
        }
    }
    None
}

impl<'a> Fields<'a> {
    fn read(&mut self) -> Option<Field<'a>> {
        let start = self.rest;
        let (key, rest) = varint(start)?;
        let (value, rest) = match key & 7 {
            0 => {
                let (value, rest) = varint(rest)?;
                (Wire::Varint(value), rest)
            }
            1 => (Wire::Fixed, rest.get(8..)?),
            2 => {
                let (len, rest) = varint(rest)?;
                let len = usize::try_from(len).ok()?;
                (Wire::Bytes(rest.get(..len)?), &rest[len..])
            }
            5 => (Wire::Fixed, rest.get(4..)?),
            _ => return None,
        };
        self.rest = rest;
        Some(Field {
            number: key >> 3,
            value,
            raw: &start[..start.len() - rest.len()],
        })
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<Field<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let field = self.read();
        if field.is_none() {
            self.rest = &[];
        }
        Some(field.ok_or(Malformed))
    }
}

/// Appends a varint.
pub fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends a length-delimited field.
pub fn put_bytes(out: &mut Vec<u8>, number: u64, bytes: &[u8]) {
    put_varint(out, number << 3 | 2);
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_back_what_it_writes_and_refuses_half_a_message() {
        let mut out = Vec::new();
        put_bytes(&mut out, 7, b"graph");
        put_varint(&mut out, 1 << 3);
        put_varint(&mut out, 300);
        let read: Vec<_> = fields(&out).collect::<Result<_, _>>().unwrap();
        assert_eq!(read[0].bytes(), b"graph");
        assert_eq!((read[1].number, read[1].number_value()), (1, 300));
        assert!(fields(&out[..4]).any(|field| field.is_err()));
    }
}
