//! Lists of plain numbers, read in one loop.
//!
//! A parser that knows every kind of value calls a visitor for each number of a large tensor. Most
//! requests to a model of one input are nothing but numbers, `[[…]]` or `{"instances":[[…]]}`: those
//! are read here. Whatever else there is, whatever does not fit and whatever is no JSON is declined, and
//! the request is read by the visitors, which have the words for it.

use serde::de::value::Error;

use super::any::Context;
use super::flat::Grid;
use super::request::{Form, Request};
use super::rows;
use crate::codec::conform::MOST_AXES;
use crate::codec::element::{owned, Element};
use crate::codec::Decoded;
use crate::each_type;
use crate::model::Signature;
use crate::tensor::ElementType;

/// Powers of ten that an `f64` holds exactly.
const POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
    1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
];
/// Integers below this are exact in an `f64`: one division by an exact power is rounded once.
const EXACT: u64 = 1 << 53;
/// So many digits fit a `u64`, whatever they are.
const MOST_DIGITS: usize = 19;

/// Reads a whole request; `None` where it declines.
pub(super) fn decode(body: &[u8], signature: &Signature, limit: usize) -> Option<Decoded> {
    let (element, _) = match signature.inputs.as_slice() {
        [port] => port.tensor()?,
        _ => return None,
    };
    if matches!(element, ElementType::String | ElementType::Bool) {
        return None;
    }
    let context = Context::new(false);
    let mut request = Request::new(signature, &context, body.len(), limit).ok()?;
    read(&mut request, body)?;
    request.finish(None).ok()
}

fn read(request: &mut Request<'_>, body: &[u8]) -> Option<()> {
    let begin = past_spaces(body, 0);
    let end = match body.get(begin)? {
        b'[' => {
            request.settle::<Error>(Form::Bare).ok()?;
            value(request, body, begin, 0)?
        }
        _ => instances(request, body, begin)?,
    };
    (past_spaces(body, end) == body.len()).then_some(())
}

/// Reads an object of `instances` alone; gives where it ends.
fn instances(request: &mut Request<'_>, body: &[u8], begin: usize) -> Option<usize> {
    let mut at = begin;
    for token in [b"{".as_slice(), b"\"instances\"", b":", b"["] {
        at = past_spaces(body, at);
        at += body.get(at..)?.starts_with(token).then_some(token.len())?;
    }
    request.settle::<Error>(Form::Instances).ok()?;
    rows::open(request);
    let mut count = 0;
    loop {
        at = past_spaces(body, at);
        at = value(request, body, at, 1)?;
        count += 1;
        at = past_spaces(body, at);
        match body.get(at)? {
            b',' => at += 1,
            b']' => break,
            _ => return None,
        }
    }
    rows::close(request, count);
    at = past_spaces(body, at + 1);
    (body.get(at)? == &b'}').then_some(at + 1)
}

/// Reads one value of the one input; gives where it ends.
fn value(request: &mut Request<'_>, body: &[u8], at: usize, depth: usize) -> Option<usize> {
    let column = request.sole::<Error>(depth).ok()?.column;
    let grid = &mut column.grid;
    each_type!(&mut column.data, buffer => nested(body, at, depth, grid, owned(buffer)))
}

/// Reads the value that begins at `at`, at a list nesting of `depth`: puts its numbers behind `out` and
/// its shape into `grid`, and gives where it ends.
fn nested<T: Element>(
    text: &[u8],
    mut at: usize,
    depth: usize,
    grid: &mut Grid,
    out: &mut Vec<T>,
) -> Option<usize> {
    // Members of each open list, behind those of a list around them all.
    let mut counts = [0_usize; MOST_AXES + 1];
    let mut level = 0;
    loop {
        at = past_spaces(text, at);
        match text.get(at)? {
            b'[' => {
                grid.open(depth + level).ok()?;
                level += 1;
                *counts.get_mut(level)? = 0;
                at = past_spaces(text, at + 1);
                if text.get(at) != Some(&b']') {
                    continue;
                }
            }
            b'-' | b'0'..=b'9' => {
                let (element, end) = number(text, at)?;
                grid.leaf_at(depth + level).ok()?;
                out.push(element);
                at = end;
                *counts.get_mut(level)? += 1;
            }
            _ if text.get(at..)?.starts_with(b"null") => {
                grid.leaf_at(depth + level).ok()?;
                out.push(T::null().ok()?);
                at += b"null".len();
                *counts.get_mut(level)? += 1;
            }
            _ => return None,
        }
        // A value has ended, or an empty list is about to.
        loop {
            if level == 0 {
                return Some(at);
            }
            at = past_spaces(text, at);
            match text.get(at)? {
                b',' => {
                    at += 1;
                    break;
                }
                b']' => {
                    let count = *counts.get(level)?;
                    level -= 1;
                    grid.close(depth + level, count).ok()?;
                    at += 1;
                    *counts.get_mut(level)? += 1;
                }
                _ => return None,
            }
        }
    }
}

#[inline]
fn past_spaces(text: &[u8], mut at: usize) -> usize {
    while matches!(text.get(at), Some(b' ' | b'\n' | b'\t' | b'\r')) {
        at += 1;
    }
    at
}

/// The number at `begin`, and where it ends.
#[inline]
fn number<T: Element>(text: &[u8], begin: usize) -> Option<(T, usize)> {
    let is_negative = text.get(begin) == Some(&b'-');
    let first = begin + usize::from(is_negative);
    let mut mantissa = 0_u64;
    let mut digits = |from: usize| {
        let mut at = from;
        while let Some(digit @ b'0'..=b'9') = text.get(at) {
            mantissa = mantissa
                .wrapping_mul(10)
                .wrapping_add(u64::from(digit - b'0'));
            at += 1;
        }
        at
    };
    let whole = digits(first);
    let has_leading_zero = whole - first > 1 && text.get(first) == Some(&b'0');
    if whole == first || has_leading_zero {
        return None;
    }
    let mut end = whole;
    let mut fraction = 0;
    if text.get(whole) == Some(&b'.') {
        end = digits(whole + 1);
        fraction = end - whole - 1;
        if fraction == 0 {
            return None;
        }
    }
    if matches!(text.get(end), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(text.get(end + 1), Some(b'+' | b'-')));
        let power = end + 1 + sign;
        let size = text
            .get(power..)?
            .iter()
            .take_while(|byte| byte.is_ascii_digit());
        let end = power + size.count();
        return (end > power).then_some((by_text(text, begin, end)?, end));
    }
    let fits = whole - first + fraction <= MOST_DIGITS;
    let element = match (fraction, POWERS.get(fraction)) {
        (0, _) => match (is_negative, mantissa) {
            _ if !fits => return None,
            (false, number) => T::unsigned(number),
            (true, 0) => T::float(-0.0),
            (true, number) => T::signed(0_i64.checked_sub_unsigned(number)?),
        },
        (_, Some(power)) if fits && mantissa < EXACT => {
            let size = mantissa as f64 / power;
            let number = if is_negative { -size } else { size };
            if T::unsure(number) {
                return Some((by_text(text, begin, end)?, end));
            }
            T::float(number)
        }
        _ => return Some((by_text(text, begin, end)?, end)),
    };
    Some((element.ok()?, end))
}

#[inline(never)]
fn by_text<T: Element>(text: &[u8], begin: usize, end: usize) -> Option<T> {
    let text = std::str::from_utf8(text.get(begin..end)?).ok()?;
    T::decimal(text).ok()
}
