//! Just enough protobuf: the fields of a message as they stand on the wire, read in place, and the
//! few that are written. No schema: what a field number means is the caller's knowledge. Shared by
//! the look into ONNX files and by the codec for RecordIO.

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
    /// Fixed 32 bits: a float or an integer.
    Fixed32(u32),
    /// Fixed 64 bits: a double or an integer.
    Fixed64(u64),
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
            return Some((value, bytes.get(i + 1..)?));
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
            1 => {
                let (bits, rest) = rest.split_first_chunk()?;
                (Wire::Fixed64(u64::from_le_bytes(*bits)), rest)
            }
            2 => {
                let (len, rest) = varint(rest)?;
                let len = usize::try_from(len).ok()?;
                let (payload, rest) = rest.split_at_checked(len)?;
                (Wire::Bytes(payload), rest)
            }
            5 => {
                let (bits, rest) = rest.split_first_chunk()?;
                (Wire::Fixed32(u32::from_le_bytes(*bits)), rest)
            }
            _ => return None,
        };
        self.rest = rest;
        Some(Field {
            number: key >> 3,
            value,
            raw: start.get(..start.len() - rest.len())?,
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

    #[test]
    fn fixed_bits_are_read_little_endian() {
        let mut out = vec![3 << 3 | 5];
        out.extend(1.5f32.to_le_bytes());
        out.push(4 << 3 | 1);
        out.extend((-2.5f64).to_le_bytes());
        let read: Vec<_> = fields(&out).collect::<Result<_, _>>().unwrap();
        assert!(matches!(read[0].value, Wire::Fixed32(bits) if bits == 1.5f32.to_bits()));
        assert!(matches!(read[1].value, Wire::Fixed64(bits) if bits == (-2.5f64).to_bits()));
        for cut in [1, 4, 6, 13] {
            assert!(fields(&out[..cut]).any(|field| field.is_err()), "{cut}");
        }
    }

    #[test]
    fn lengths_and_varints_past_the_end_are_malformed() {
        for bytes in [
            &[0x0a, 0x05, 0x00][..],
            &[
                0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01,
            ],
            &[
                0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01,
            ],
            &[0x08],
            &[0x0b],
            &[0x0f, 0x00],
        ] {
            assert!(fields(bytes).any(|field| field.is_err()), "{bytes:x?}");
        }
        let mut all = Vec::new();
        put_varint(&mut all, u64::MAX);
        assert_eq!(varint(&all), Some((u64::MAX, &[][..])));
    }
}
