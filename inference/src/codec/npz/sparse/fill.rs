//! Sparse values → dense elements, row-major.

use half::f16;

use super::parts::{Lines, Parts};
use crate::tensor::{element_count, Buffer};

/// An element that starts at zero and adds up as NumPy adds.
pub(super) trait Cell: Copy + Default {
    /// The sum of two values of one place.
    fn plus(self, other: Self) -> Self;
}

macro_rules! cells {
    ($($type:ty => $plus:expr),*) => {$(
        impl Cell for $type {
            #[inline]
            fn plus(self, other: Self) -> Self {
                let plus: fn(Self, Self) -> Self = $plus;
                plus(self, other)
            }
        }
    )*};
}

cells! {
    i8 => Self::wrapping_add, i16 => Self::wrapping_add,
    i32 => Self::wrapping_add, i64 => Self::wrapping_add,
    u8 => Self::wrapping_add, u16 => Self::wrapping_add,
    u32 => Self::wrapping_add, u64 => Self::wrapping_add,
    f16 => |a, b| a + b, f32 => |a, b| a + b, f64 => |a, b| a + b,
    bool => |a, b| a | b
}

/// Where values go that are added.
struct Dense<'a, T> {
    elements: Vec<T>,
    /// The sizes of the axes.
    shape: &'a [usize],
}

impl<T: Cell> Dense<'_, T> {
    /// Adds a value at a place, one index per axis; all are inside.
    #[inline]
    fn add(&mut self, place: impl IntoIterator<Item = usize>, value: T) {
        let axes = self.shape.iter().zip(place);
        let flat = axes.fold(0usize, |flat, (size, at)| {
            flat.wrapping_mul(*size).wrapping_add(at)
        });
        if let Some(element) = self.elements.get_mut(flat) {
            *element = element.plus(value);
        }
    }
}

/// Fills out a matrix. Its dense size has been found small enough.
///
/// # Errors
/// What is wrong with its parts.
pub(super) fn fill<T: Cell>(
    parts: &Parts,
    shape: &[usize],
    values: &[T],
) -> Result<Vec<T>, String> {
    let count = element_count(shape).ok_or("its shape is too large")?;
    let mut dense = Dense {
        elements: vec![T::default(); count],
        shape,
    };
    match parts {
        Parts::Compressed { lines, columns } => compressed(&mut dense, lines, *columns, values)?,
        Parts::Blocks { lines, size } => blocks(&mut dense, lines, *size, values)?,
        Parts::Coordinates(axes) => coordinates(&mut dense, axes, values)?,
        Parts::Diagonals { offsets, width } => diagonals(&mut dense, offsets, *width, values)?,
    }
    Ok(dense.elements)
}

fn compressed<T: Cell>(
    dense: &mut Dense<'_, T>,
    lines: &Lines,
    columns: bool,
    values: &[T],
) -> Result<(), String> {
    let (major, minor) = match *dense.shape {
        [size] => (1, size),
        [rows, cols] if columns => (cols, rows),
        [rows, cols] => (rows, cols),
        _ => return Err("it has another rank than 2".to_owned()),
    };
    let flat = dense.shape.len() == 1;
    lines.each(major, minor, values.len(), |line, at, entry| {
        let Some(value) = values.get(entry) else {
            return;
        };
        match (flat, columns) {
            (true, _) => dense.add([at], *value),
            (false, true) => dense.add([at, line], *value),
            (false, false) => dense.add([line, at], *value),
        }
    })
}

fn blocks<T: Cell>(
    dense: &mut Dense<'_, T>,
    lines: &Lines,
    [height, width]: [usize; 2],
    values: &[T],
) -> Result<(), String> {
    let &[rows, cols] = dense.shape else {
        return Err("it has another rank than 2".to_owned());
    };
    let fits = |size: usize, block: usize| block > 0 && size.is_multiple_of(block);
    if !fits(rows, height) || !fits(cols, width) {
        return Err(format!(
            "blocks of {height} by {width} do not divide {rows} by {cols}"
        ));
    }
    let area = height.saturating_mul(width);
    let count = values.len() / area;
    lines.each(rows / height, cols / width, count, |line, at, entry| {
        for (i, value) in values.iter().skip(entry * area).take(area).enumerate() {
            dense.add([line * height + i / width, at * width + i % width], *value);
        }
    })
}

fn coordinates<T: Cell>(
    dense: &mut Dense<'_, T>,
    axes: &[Buffer<i64>],
    values: &[T],
) -> Result<(), String> {
    for (axis, (places, &size)) in axes.iter().zip(dense.shape).enumerate() {
        if places.len() != values.len() {
            return Err(format!(
                "axis {axis} has {} indices for {} values",
                places.len(),
                values.len()
            ));
        }
        for (entry, place) in places.iter().enumerate() {
            inside(*place, size).ok_or_else(|| outside(*place, size, entry))?;
        }
    }
    for (entry, value) in values.iter().enumerate() {
        let place = axes
            .iter()
            .filter_map(|places| usize::try_from(*places.get(entry)?).ok());
        dense.add(place, *value);
    }
    Ok(())
}

fn diagonals<T: Cell>(
    dense: &mut Dense<'_, T>,
    offsets: &[i64],
    width: usize,
    values: &[T],
) -> Result<(), String> {
    let &[rows, cols] = dense.shape else {
        return Err("it has another rank than 2".to_owned());
    };
    if offsets.len().checked_mul(width) != Some(values.len()) {
        return Err(format!(
            "{} offsets do not belong to {} values in diagonals of {width}",
            offsets.len(),
            values.len()
        ));
    }
    let mut sorted = offsets.to_vec();
    sorted.sort_unstable();
    if let Some([twice, _]) = sorted.array_windows().find(|[a, b]| a == b) {
        return Err(format!("offset {twice} is there twice"));
    }
    for (diagonal, &offset) in offsets.iter().enumerate() {
        let along = values.iter().skip(diagonal * width).take(width.min(cols));
        for (col, value) in along.enumerate() {
            // A diagonal's value stands at its column; those above or below the matrix are unused.
            let row = i64::try_from(col)
                .ok()
                .and_then(|col| col.checked_sub(offset));
            if let Some(row) = row.and_then(|row| inside(row, rows)) {
                dense.add([row, col], *value);
            }
        }
    }
    Ok(())
}

impl Lines {
    /// Calls `entry(line, place, position)` for every entry of `major` lines, each `minor` long.
    fn each(
        &self,
        major: usize,
        minor: usize,
        values: usize,
        mut entry: impl FnMut(usize, usize, usize),
    ) -> Result<(), String> {
        let Self { indptr, indices } = self;
        if Some(indptr.len()) != major.checked_add(1) {
            return Err(format!(
                "its indptr has {} entries for {major} lines",
                indptr.len()
            ));
        }
        if indices.len() != values {
            return Err(format!(
                "it has {} indices for {values} values",
                indices.len()
            ));
        }
        if indptr.first() != Some(&0) {
            return Err("its indptr does not begin with 0".to_owned());
        }
        let ends = indptr.iter().skip(1);
        for (line, (&start, &end)) in indptr.iter().zip(ends).enumerate() {
            let range = usize::try_from(start).ok().zip(usize::try_from(end).ok());
            let (start, end) = range
                .filter(|(start, end)| start <= end && *end <= indices.len())
                .ok_or_else(|| {
                    format!(
                        "its indptr goes from {start} to {end} at line {line}, with {} entries",
                        indices.len()
                    )
                })?;
            for (position, place) in indices.iter().enumerate().take(end).skip(start) {
                let at = inside(*place, minor).ok_or_else(|| outside(*place, minor, position))?;
                entry(line, at, position);
            }
        }
        Ok(())
    }
}

/// An index, if it is less than `size`.
#[inline]
fn inside(index: i64, size: usize) -> Option<usize> {
    usize::try_from(index).ok().filter(|index| *index < size)
}

fn outside(index: i64, size: usize, entry: usize) -> String {
    format!("index {index} of entry {entry} is outside an axis of {size}")
}
