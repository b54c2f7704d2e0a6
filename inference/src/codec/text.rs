//! One element as text, for JSON and for CSV.
//!
//! Floats take the shortest text that reads back to the same value: in their own precision for
//! `f32` and `f64`, by way of `f32` for the half types (which reads back, and may be longer).

use half::{bf16, f16};

use super::element::{INFINITY, NEG_INFINITY};

/// An element that can be written.
pub(super) trait Text {
    /// As a JSON value. Floats always carry a point or an exponent; NaN is `null`, infinities are
    /// strings.
    fn json(&self, out: &mut Vec<u8>);
    /// As a CSV cell. Integral floats carry no point; `nan`, `inf`, `-inf`; `true`, `false`;
    /// strings quoted where they must be.
    fn csv(&self, out: &mut Vec<u8>);
}

macro_rules! integers {
    ($($type:ty),*) => {$(
        impl Text for $type {
            fn json(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(itoa::Buffer::new().format(*self).as_bytes());
            }
            fn csv(&self, out: &mut Vec<u8>) {
                self.json(out);
            }
        }
    )*};
}

integers!(i8, i16, i32, i64, u8, u16, u32, u64);

macro_rules! floats {
    ($($type:ty),*) => {$(
        impl Text for $type {
            // Always: a large reply is little else than this.
            #[inline(always)]
            fn json(&self, out: &mut Vec<u8>) {
                if self.is_finite() {
                    out.extend_from_slice(ryu::Buffer::new().format_finite(*self).as_bytes());
                } else {
                    json_not_finite(out, self.is_nan(), *self > 0.0);
                }
            }
            #[inline]
            fn csv(&self, out: &mut Vec<u8>) {
                if self.is_finite() {
                    let mut buffer = ryu::Buffer::new();
                    let text = buffer.format_finite(*self);
                    out.extend_from_slice(text.strip_suffix(".0").unwrap_or(text).as_bytes());
                } else if self.is_nan() {
                    out.extend_from_slice(b"nan");
                } else {
                    out.extend_from_slice(if *self > 0.0 { b"inf" } else { b"-inf" });
                }
            }
        }
    )*};
}

floats!(f32, f64);

/// NaN or an infinity as a JSON value.
#[cold]
fn json_not_finite(out: &mut Vec<u8>, is_nan: bool, is_positive: bool) {
    if is_nan {
        return out.extend_from_slice(b"null");
    }
    let name = if is_positive { INFINITY } else { NEG_INFINITY };
    out.push(b'"');
    out.extend_from_slice(name.as_bytes());
    out.push(b'"');
}

macro_rules! halves {
    ($($type:ty),*) => {$(
        impl Text for $type {
            fn json(&self, out: &mut Vec<u8>) {
                self.to_f32().json(out);
            }
            fn csv(&self, out: &mut Vec<u8>) {
                self.to_f32().csv(out);
            }
        }
    )*};
}

halves!(f16, bf16);

impl Text for bool {
    fn json(&self, out: &mut Vec<u8>) {
        let text: &[u8] = if *self { b"true" } else { b"false" };
        out.extend_from_slice(text);
    }
    fn csv(&self, out: &mut Vec<u8>) {
        self.json(out);
    }
}

impl Text for String {
    fn json(&self, out: &mut Vec<u8>) {
        json_string(self, out);
    }
    fn csv(&self, out: &mut Vec<u8>) {
        // A byte order mark at the start of a text is taken for the file's own, unless it is quoted.
        if self.contains([',', '"', '\n', '\r', '\u{feff}']) {
            out.push(b'"');
            for byte in self.bytes() {
                if byte == b'"' {
                    out.push(b'"');
                }
                out.push(byte);
            }
            out.push(b'"');
        } else {
            out.extend_from_slice(self.as_bytes());
        }
    }
}

/// A string with JSON's quotes and escapes.
pub(super) fn json_string(text: &str, out: &mut Vec<u8>) {
    // Neither a vector nor a string gives the writer anything to fail on.
    let _ = serde_json::to_writer(out, text);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::element::Element;
    use proptest::prelude::*;

    fn json(element: &impl Text) -> String {
        let mut out = Vec::new();
        element.json(&mut out);
        String::from_utf8(out).unwrap()
    }

    fn csv(element: &impl Text) -> String {
        let mut out = Vec::new();
        element.csv(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn floats_keep_their_point_in_json_and_lose_it_in_csv() {
        for (value, in_json, in_csv) in [
            (10.0f32, "10.0", "10"),
            (0.1, "0.1", "0.1"),
            (-0.0, "-0.0", "-0"),
            (1e-7, "1e-7", "1e-7"),
            (16_777_216.0, "16777216.0", "16777216"),
            (f32::MAX, "3.4028235e38", "3.4028235e38"),
            (f32::NAN, "null", "nan"),
            (f32::INFINITY, "\"Infinity\"", "inf"),
            (f32::NEG_INFINITY, "\"-Infinity\"", "-inf"),
        ] {
            assert_eq!(json(&value), in_json);
            assert_eq!(csv(&value), in_csv);
        }
        assert_eq!(json(&0.1f64), "0.1");
        assert_eq!(json(&f16::from_f32(0.5)), "0.5");
        assert_eq!(csv(&bf16::from_f32(3.0)), "3");
    }

    #[test]
    fn integers_bools_and_strings() {
        assert_eq!(json(&u64::MAX), "18446744073709551615");
        assert_eq!(csv(&i64::MIN), "-9223372036854775808");
        assert_eq!(
            (json(&true), csv(&false)),
            ("true".to_owned(), "false".to_owned())
        );
        for (text, in_json, in_csv) in [
            ("a", "\"a\"", "a"),
            ("ü 🦀", "\"ü 🦀\"", "ü 🦀"),
            ("", "\"\"", ""),
            ("a,b", "\"a,b\"", "\"a,b\""),
            (
                "say \"hi\"\n",
                "\"say \\\"hi\\\"\\n\"",
                "\"say \"\"hi\"\"\n\"",
            ),
            ("\u{1}", "\"\\u0001\"", "\u{1}"),
        ] {
            assert_eq!(json(&text.to_owned()), in_json);
            assert_eq!(csv(&text.to_owned()), in_csv);
        }
    }

    proptest! {
        #[test]
        fn every_float_reads_back(single: u32, double: u64, half: u16) {
            let single = f32::from_bits(single);
            if single.is_finite() {
                prop_assert_eq!(f32::decimal(&json(&single)), Ok(single));
                prop_assert_eq!(f32::cell(&csv(&single)), Ok(single));
            }
            let double = f64::from_bits(double);
            if double.is_finite() {
                prop_assert_eq!(f64::decimal(&json(&double)), Ok(double));
                prop_assert_eq!(f64::cell(&csv(&double)), Ok(double));
            }
            let (small, brain) = (f16::from_bits(half), bf16::from_bits(half));
            if small.is_finite() {
                prop_assert_eq!(f16::decimal(&json(&small)), Ok(small));
            }
            if brain.is_finite() {
                prop_assert_eq!(bf16::decimal(&json(&brain)), Ok(brain));
            }
        }
    }
}
