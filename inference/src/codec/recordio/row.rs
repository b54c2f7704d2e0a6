//! One feature of one record: a row, dense or sparse, and how it is put into the inputs.

use super::proto::{Feature, Item, Items, Kind};
use crate::codec::element::{owned, Element, Misfit};
use crate::codec::error::quoted;
use crate::each_type;
use crate::tensor::{element_count, Buffer, Data, ElementType};

/// A row whose sizes have been checked.
pub(super) struct Row<'a> {
    feature: Feature<'a>,
    /// Sizes of its axes; empty where none were sent.
    pub(super) shape: Vec<usize>,
    /// Elements of the row, those that a sparse one leaves out included.
    pub(super) columns: usize,
    pub(super) sparse: bool,
}

/// Why a row is not taken.
pub(super) enum Fault {
    /// The message is not what it should be.
    Broken(String),
    /// The message does not fit.
    Unfit(String),
}

impl<'a> Row<'a> {
    /// Looks at a feature: its shape, its keys and the number of its elements.
    pub(super) fn open(feature: Feature<'a>) -> Result<Self, Fault> {
        // The name is written only where it is needed: this runs once a record.
        let unfit = |what: String| Fault::Unfit(format!("feature {} {what}", quoted(feature.name)));
        let shape = feature.shape().map_err(Fault::Broken)?;
        let count = count(feature.items())?;
        let keys = count_keys(feature)?;
        let size = element_count(&shape).unwrap_or(usize::MAX);
        // A row of zeros alone is sent without values and keys.
        let sparse = keys.count > 0 || (count == 0 && !shape.is_empty() && size > 0);
        if !sparse {
            if !shape.is_empty() && size != count {
                return Err(unfit(format!("has shape {shape:?} for {count} values")));
            }
            return Ok(Self {
                feature,
                shape,
                columns: count,
                sparse,
            });
        }
        if shape.is_empty() {
            return Err(unfit("has keys and no shape".to_owned()));
        }
        if keys.count != count {
            return Err(unfit(format!("has {} keys for {count} values", keys.count)));
        }
        if let Some(largest) = keys
            .largest
            .filter(|key| usize::try_from(*key).map_or(true, |key| key >= size))
        {
            return Err(unfit(format!(
                "has key {largest}, its shape {shape:?} ends at {size}"
            )));
        }
        Ok(Self {
            feature,
            shape,
            columns: size,
            sparse,
        })
    }

    /// Checks that the elements can be of this type, whatever their values.
    pub(super) fn check_kind(&self, input: &str, element: ElementType) -> Result<(), Fault> {
        let kind = self.feature.kind;
        if (kind == Kind::Bytes) == (element == ElementType::String) {
            return Ok(());
        }
        Err(Fault::Unfit(format!(
            "input {input}: a feature of {} does not become {element}",
            kind.name()
        )))
    }

    /// Appends a dense row: to each input as many elements as its size says.
    pub(super) fn append<'d>(
        &self,
        inputs: impl Iterator<Item = (&'d str, &'d mut Data, usize)>,
    ) -> Result<(), Fault> {
        let mut items = self.feature.items();
        for (name, data, size) in inputs {
            let element = data.element_type();
            let outcome = match (&mut *data, self.feature.kind) {
                // Without a way through another type, which may change the bits of a NaN.
                (Data::Float32(buffer), Kind::Float32) => {
                    extend(buffer, &mut items, size, |item| match item {
                        Item::Float32(number) => Ok(number),
                        other => convert(other),
                    })
                }
                _ => each_type!(data, buffer => extend(buffer, &mut items, size, convert)),
            };
            outcome.map_err(|error| match error {
                Stop::Broken(what) => Fault::Broken(what),
                Stop::Misfit(index, misfit) => unfit(name, index, misfit, element),
            })?;
        }
        Ok(())
    }

    /// Appends a sparse row: zeros, and the values over them.
    pub(super) fn fill(&self, inputs: &mut [(&str, &mut Data, usize)]) -> Result<(), Fault> {
        // Where the row of each input ends, in the row and in its elements.
        let mut ends = Vec::with_capacity(inputs.len());
        let mut end = 0usize;
        for (_, data, size) in inputs.iter_mut() {
            end = end.saturating_add(*size);
            ends.push((end, data.len().saturating_add(*size)));
            each_type!(&mut **data, buffer => zeros(buffer, *size));
        }
        for (key, item) in self.feature.keys().zip(self.feature.items()) {
            let key = key.map_err(Fault::Broken)?;
            let item = item.map_err(Fault::Broken)?;
            let key = usize::try_from(key).unwrap_or(usize::MAX);
            let input = ends.partition_point(|(end, _)| *end <= key);
            let (Some((end, filled)), Some((name, data, _))) =
                (ends.get(input), inputs.get_mut(input))
            else {
                continue;
            };
            let at = filled.wrapping_sub(end - key);
            let element = data.element_type();
            let outcome = match (&mut **data, item) {
                (Data::Float32(buffer), Item::Float32(number)) => put(buffer, at, Ok(number)),
                (data, item) => each_type!(data, buffer => put(buffer, at, convert(item))),
            };
            outcome.map_err(|misfit| unfit(name, key, misfit, element))?;
        }
        Ok(())
    }
}

fn unfit(input: &str, index: usize, misfit: Misfit, element: ElementType) -> Fault {
    Fault::Unfit(format!(
        "input {input}: element {index} is {}",
        misfit.describe(element)
    ))
}

fn count(items: Items<'_>) -> Result<usize, Fault> {
    let mut count = 0;
    for item in items {
        item.map_err(Fault::Broken)?;
        count += 1;
    }
    Ok(count)
}

struct Keys {
    count: usize,
    largest: Option<u64>,
}

/// Counts the keys and checks that none is there twice.
fn count_keys(feature: Feature<'_>) -> Result<Keys, Fault> {
    let (mut count, mut largest, mut rising) = (0, None, true);
    for key in feature.keys() {
        let key = key.map_err(Fault::Broken)?;
        rising &= largest.is_none_or(|last| last < key);
        largest = largest.max(Some(key));
        count += 1;
    }
    if !rising {
        let mut keys: Vec<u64> = feature.keys().flatten().collect();
        keys.sort_unstable();
        if let Some([twice, _]) = keys.array_windows().find(|[a, b]| a == b) {
            return Err(Fault::Unfit(format!(
                "feature {} has key {twice} twice",
                quoted(feature.name)
            )));
        }
    }
    Ok(Keys { count, largest })
}

enum Stop {
    Broken(String),
    Misfit(usize, Misfit),
}

#[inline]
fn extend<'a, T>(
    buffer: &mut Buffer<T>,
    items: &mut Items<'a>,
    size: usize,
    convert: impl Fn(Item<'a>) -> Result<T, Misfit>,
) -> Result<(), Stop> {
    let out = owned(buffer);
    for (index, item) in items.take(size).enumerate() {
        match item.map(&convert) {
            Ok(Ok(element)) => out.push(element),
            Ok(Err(misfit)) => return Err(Stop::Misfit(index, misfit)),
            Err(what) => return Err(Stop::Broken(what)),
        }
    }
    Ok(())
}

fn zeros<T: Element>(buffer: &mut Buffer<T>, size: usize) {
    // Text has no zero, and no sparse row becomes text.
    if let Ok(zero) = T::unsigned(0) {
        let out = owned(buffer);
        out.resize(out.len().saturating_add(size), zero);
    }
}

fn put<T>(buffer: &mut Buffer<T>, at: usize, element: Result<T, Misfit>) -> Result<(), Misfit> {
    if let Some(place) = owned(buffer).get_mut(at) {
        *place = element?;
    }
    Ok(())
}

#[inline]
fn convert<T: Element>(item: Item<'_>) -> Result<T, Misfit> {
    match item {
        Item::Float32(number) => T::float(f64::from(number)),
        Item::Float64(number) => T::float(number),
        Item::Int32(number) => match u64::try_from(number) {
            Ok(number) => T::unsigned(number),
            Err(_) => T::signed(i64::from(number)),
        },
        Item::Bytes(bytes) => std::str::from_utf8(bytes)
            .map_err(|_| Misfit::Kind("text that is not utf-8"))
            .and_then(T::text),
    }
}
