//! One element of a tensor, from what a body can hold: JSON values, CSV cells, npy numbers.
//!
//! Exact: integers over their whole range (`3.0` is 3, a fraction is refused), floats rounded once
//! from the text's own value, a finite number that the type cannot hold is refused. Half types go
//! through `f64`; that differs from a single rounding only for texts of 17 and more digits that lie
//! within 1e-16 of the middle between two neighbours.

use half::{bf16, f16};

use crate::tensor::{Buffer, Data, ElementType};

/// Why a value is not an element of the wanted type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Misfit {
    /// Another kind of value: what it is.
    Kind(&'static str),
    /// A number with a fraction, for an integer type.
    Fraction,
    /// A number that the type cannot hold.
    Range,
}

impl Misfit {
    /// What was found, and what belongs there.
    pub(super) fn describe(self, expected: ElementType) -> String {
        match self {
            Self::Kind(found) => format!("{found} where {expected} is expected"),
            Self::Fraction => format!("a number with a fraction where {expected} is expected"),
            Self::Range => format!("a number outside the range of {expected}"),
        }
    }
}

/// Floats as JSON must spell what it has no number for.
pub(super) const INFINITY: &str = "Infinity";
pub(super) const NEG_INFINITY: &str = "-Infinity";

type Fit<T> = Result<T, Misfit>;

/// A Rust type that is the element of a tensor.
pub(super) trait Element: Sized + Clone {
    /// Elements as a tensor's data.
    fn wrap(elements: Vec<Self>) -> Data;
    /// From `null`.
    fn null() -> Fit<Self> {
        Err(Misfit::Kind("null"))
    }
    /// From `true` or `false`.
    fn boolean(_: bool) -> Fit<Self> {
        Err(Misfit::Kind("true or false"))
    }
    /// From a string.
    fn text(_: &str) -> Fit<Self> {
        Err(Misfit::Kind("a string"))
    }
    /// From a non-negative integer.
    fn unsigned(number: u64) -> Fit<Self>;
    /// From a negative integer.
    fn signed(number: i64) -> Fit<Self>;
    /// From a number that is exactly `number`.
    fn float(number: f64) -> Fit<Self>;
    /// Whether a text that reads as `number` may need [`Element::decimal`] to be exact.
    fn unsure(_: f64) -> bool {
        false
    }
    /// From the decimal text of a number, rounded once.
    fn decimal(text: &str) -> Fit<Self>;
    /// From a CSV cell.
    fn cell(text: &str) -> Fit<Self>;
}

const TEXT: Misfit = Misfit::Kind("text");
const EMPTY: Misfit = Misfit::Kind("an empty cell");

macro_rules! integers {
    ($($type:ty => $variant:ident),*) => {$(
        impl Element for $type {
            fn wrap(elements: Vec<Self>) -> Data {
                Data::$variant(elements.into())
            }
            #[inline]
            fn unsigned(number: u64) -> Fit<Self> {
                Self::try_from(number).map_err(|_| Misfit::Range)
            }
            #[inline]
            fn signed(number: i64) -> Fit<Self> {
                Self::try_from(number).map_err(|_| Misfit::Range)
            }
            fn float(number: f64) -> Fit<Self> {
                if number.fract() != 0.0 {
                    return Err(if number.is_finite() { Misfit::Fraction } else { Misfit::Range });
                }
                Self::try_from(number as i128).map_err(|_| Misfit::Range)
            }
            #[inline]
            fn unsure(number: f64) -> bool {
                number.abs() >= EXACT_INTEGERS
            }
            fn decimal(text: &str) -> Fit<Self> {
                match text.parse() {
                    Ok(number) => Ok(number),
                    Err(_) => Self::try_from(integer(text)?).map_err(|_| Misfit::Range),
                }
            }
            fn cell(text: &str) -> Fit<Self> {
                match trimmed(text) {
                    "" => Err(EMPTY),
                    text => Self::decimal(text),
                }
            }
        }
    )*};
}

integers! {
    i8 => Int8, i16 => Int16, i32 => Int32, i64 => Int64,
    u8 => Uint8, u16 => Uint16, u32 => Uint32, u64 => Uint64
}

macro_rules! floats {
    ($($type:ty => $variant:ident, $natural:expr, $negative:expr, $from:path, $unsure:expr, $parse:expr;)*) => {$(
        impl Element for $type {
            fn wrap(elements: Vec<Self>) -> Data {
                Data::$variant(elements.into())
            }
            fn null() -> Fit<Self> {
                Ok(Self::NAN)
            }
            fn text(text: &str) -> Fit<Self> {
                match text {
                    "NaN" => Ok(Self::NAN),
                    INFINITY => Ok(Self::INFINITY),
                    NEG_INFINITY => Ok(Self::NEG_INFINITY),
                    _ => Err(Misfit::Kind("a string")),
                }
            }
            #[inline]
            fn unsigned(number: u64) -> Fit<Self> {
                let near: Self = $natural(number);
                if near.is_infinite() { Err(Misfit::Range) } else { Ok(near) }
            }
            #[inline]
            fn signed(number: i64) -> Fit<Self> {
                let near: Self = $negative(number);
                if near.is_infinite() { Err(Misfit::Range) } else { Ok(near) }
            }
            #[inline]
            fn float(number: f64) -> Fit<Self> {
                let near = $from(number);
                if near.is_infinite() && number.is_finite() {
                    return Err(Misfit::Range);
                }
                Ok(near)
            }
            #[inline]
            fn unsure(number: f64) -> bool {
                $unsure(number)
            }
            fn decimal(text: &str) -> Fit<Self> {
                let number: Self = $parse(text)?;
                // The parser gives infinity for finite texts that are too large.
                if number.is_infinite() && text.bytes().any(|b| b.is_ascii_digit()) {
                    return Err(Misfit::Range);
                }
                Ok(number)
            }
            fn cell(text: &str) -> Fit<Self> {
                match trimmed(text) {
                    "" => Ok(Self::NAN),
                    text => Self::decimal(text),
                }
            }
        }
    )*};
}

floats! {
    f64 => Float64, |n| n as f64, |n| n as f64, std::convert::identity, |_| false, parse;
    f32 => Float32, |n| n as f32, |n| n as f32, narrow, between_floats, parse;
    f16 => Float16, |n| to_f16(n as f64), |n| to_f16(n as f64), to_f16, |_| false,
        |text| parse(text).map(to_f16);
    bf16 => BFloat16, |n| to_bf16(n as f64), |n| to_bf16(n as f64), to_bf16, |_| false,
        |text| parse(text).map(to_bf16);
}

impl Element for bool {
    fn wrap(elements: Vec<Self>) -> Data {
        Data::Bool(elements.into())
    }
    fn boolean(value: bool) -> Fit<Self> {
        Ok(value)
    }
    fn unsigned(number: u64) -> Fit<Self> {
        match number {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Misfit::Range),
        }
    }
    fn signed(_: i64) -> Fit<Self> {
        Err(Misfit::Range)
    }
    fn float(number: f64) -> Fit<Self> {
        Self::unsigned(u64::float(number)?)
    }
    fn decimal(text: &str) -> Fit<Self> {
        Self::unsigned(u64::decimal(text)?)
    }
    fn cell(text: &str) -> Fit<Self> {
        match trimmed(text) {
            "" => Err(EMPTY),
            text if text.eq_ignore_ascii_case("true") => Ok(true),
            text if text.eq_ignore_ascii_case("false") => Ok(false),
            text => Self::decimal(text),
        }
    }
}

impl Element for String {
    fn wrap(elements: Vec<Self>) -> Data {
        Data::String(elements.into())
    }
    fn text(text: &str) -> Fit<Self> {
        Ok(text.to_owned())
    }
    fn unsigned(_: u64) -> Fit<Self> {
        Err(NUMBER)
    }
    fn signed(_: i64) -> Fit<Self> {
        Err(NUMBER)
    }
    fn float(_: f64) -> Fit<Self> {
        Err(NUMBER)
    }
    fn decimal(_: &str) -> Fit<Self> {
        Err(NUMBER)
    }
    fn cell(text: &str) -> Fit<Self> {
        Ok(text.to_owned())
    }
}

const NUMBER: Misfit = Misfit::Kind("a number");

/// From here on `f64` has gaps between integers.
const EXACT_INTEGERS: f64 = 9_007_199_254_740_992.0;

fn trimmed(cell: &str) -> &str {
    cell.trim_matches([' ', '\t'])
}

fn parse<T: std::str::FromStr>(text: &str) -> Fit<T> {
    text.parse().map_err(|_| TEXT)
}

#[inline]
fn narrow(number: f64) -> f32 {
    number as f32
}

/// Whether `number` lies in the middle between two `f32`, so that the text it was rounded from may
/// belong to the other side.
#[inline]
fn between_floats(number: f64) -> bool {
    const DROPPED_BITS: u64 = (1 << 29) - 1;
    const HALF: u64 = 1 << 28;
    number.to_bits() & DROPPED_BITS == HALF
        || (number.abs() < f64::from(f32::MIN_POSITIVE) && between_small_floats(number))
}

/// [`between_floats`] where the gaps between `f32` are all the same, 2⁻¹⁴⁹: the middles are the odd
/// multiples of half of that.
fn between_small_floats(number: f64) -> bool {
    const HALVES: f64 = f64::from_bits((1023 + 150) << 52);
    let halves = number.abs() * HALVES;
    let whole = halves as u32;
    whole & 1 == 1 && f64::from(whole) == halves
}

/// `number` as the nearest `f32`, or where it is none, its neighbour with an odd last bit: a second
/// rounding to fewer bits then gives what one rounding would have.
#[inline]
fn to_odd(number: f64) -> f32 {
    let near = number as f32;
    if f64::from(near) == number || !near.is_finite() {
        return near;
    }
    let beyond = f64::from(near).abs() > number.abs();
    f32::from_bits((near.to_bits() - u32::from(beyond)) | 1)
}

fn to_f16(number: f64) -> f16 {
    f16::from_f32(to_odd(number))
}

fn to_bf16(number: f64) -> bf16 {
    bf16::from_f32(to_odd(number))
}

/// The integer that a decimal text stands for, however it is written; integers beyond every
/// element type are out of range.
fn integer(text: &str) -> Fit<i128> {
    // The float parser knows the grammar, apart from the names of what is not finite.
    if text.parse::<f64>().is_err() {
        return Err(TEXT);
    }
    let (negative, digits) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    if !digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return Err(Misfit::Range);
    }
    let (mantissa, exponent) = match digits.split_once(['e', 'E']) {
        // An exponent too long to read is far outside either way.
        Some((mantissa, exponent)) => (
            mantissa,
            exponent
                .parse::<i64>()
                .unwrap_or(if exponent.starts_with('-') {
                    i64::MIN / 2
                } else {
                    i64::MAX / 2
                }),
        ),
        None => (digits, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all = [whole, fraction].concat();
    let significant = all.trim_start_matches('0');
    let kept = significant.trim_end_matches('0');
    if kept.is_empty() {
        return Ok(0);
    }
    let zeros = exponent
        .saturating_sub(fraction.len() as i64)
        .saturating_add((significant.len() - kept.len()) as i64);
    if zeros < 0 {
        return Err(Misfit::Fraction);
    }
    if kept.len() as i64 > 20 || zeros > 20 {
        return Err(Misfit::Range);
    }
    let scale = 10i128.checked_pow(zeros as u32).ok_or(Misfit::Range)?;
    let magnitude = kept
        .parse::<i128>()
        .ok()
        .and_then(|n| n.checked_mul(scale))
        .ok_or(Misfit::Range)?;
    Ok(if negative { -magnitude } else { magnitude })
}

/// The vector to push elements to; a held buffer is never met here and would be emptied.
pub(super) fn owned<T>(buffer: &mut Buffer<T>) -> &mut Vec<T> {
    if matches!(buffer, Buffer::Held(_)) {
        *buffer = Buffer::Owned(Vec::new());
    }
    match buffer {
        Buffer::Owned(elements) => elements,
        Buffer::Held(_) => unreachable!("replaced above"),
    }
}

/// No elements of a type.
pub(super) fn empty(element: ElementType) -> Data {
    match element {
        ElementType::Bool => bool::wrap(Vec::new()),
        ElementType::Int8 => i8::wrap(Vec::new()),
        ElementType::Int16 => i16::wrap(Vec::new()),
        ElementType::Int32 => i32::wrap(Vec::new()),
        ElementType::Int64 => i64::wrap(Vec::new()),
        ElementType::Uint8 => u8::wrap(Vec::new()),
        ElementType::Uint16 => u16::wrap(Vec::new()),
        ElementType::Uint32 => u32::wrap(Vec::new()),
        ElementType::Uint64 => u64::wrap(Vec::new()),
        ElementType::Float16 => f16::wrap(Vec::new()),
        ElementType::BFloat16 => bf16::wrap(Vec::new()),
        ElementType::Float32 => f32::wrap(Vec::new()),
        ElementType::Float64 => f64::wrap(Vec::new()),
        ElementType::String => String::wrap(Vec::new()),
    }
}

#[cfg(test)]
mod tests;
