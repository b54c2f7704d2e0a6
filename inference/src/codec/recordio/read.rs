//! Records → the tensors of the inputs, a row of each per record.

use std::ops::Range;

use bytes::Bytes;

use super::frame::{records, Record};
use super::proto::{features, Feature};
use super::row::{Fault, Row};
use crate::codec::budget::Budget;
use crate::codec::conform;
use crate::codec::element::{empty, owned};
use crate::codec::error::{misfit, quoted, unreadable};
use crate::codec::layout::Layout;
use crate::codec::DecodeError;
use crate::each_type;
use crate::model::{Port, Signature};
use crate::tensor::{element_count, Data, Tensor};

/// The feature of records that have but one.
pub(super) const VALUES: &str = "values";

/// Text and the least that it takes in memory.
const STRING_BYTES: usize = size_of::<String>();

/// Reads one row of every input from each record. What rows take beyond their records is at most
/// `limit` bytes.
///
/// # Errors
/// [`DecodeError`]: no records, missing or surplus features, rows that do not fit, too much.
pub(in crate::codec) fn decode(
    body: &Bytes,
    signature: &Signature,
    limit: usize,
) -> Result<Vec<Tensor>, DecodeError> {
    let mut table = Table::new(signature, records(body).count(), limit)?;
    for record in records(body) {
        let record = record?;
        table.add(&record).map_err(|fault| match fault {
            Failure::Row(Fault::Broken(what)) => {
                unreadable(format!("record {}: {what}", record.number))
            }
            Failure::Row(Fault::Unfit(what)) => misfit(format!("record {}: {what}", record.number)),
            Failure::Whole(error) => error,
        })?;
    }
    table.finish()
}

/// The rows so far.
struct Table<'s> {
    signature: &'s Signature,
    /// The elements of each input.
    data: Vec<Data>,
    /// How features belong to inputs; settled by the first record.
    groups: Vec<Group>,
    budget: Budget,
    rows: usize,
    /// Rows that there are in all.
    records: usize,
}

/// A feature of every record, and the inputs that it fills.
struct Group {
    feature: String,
    /// Where the feature stood in the record before: as a rule, where it stands in the next.
    at: usize,
    inputs: Range<usize>,
    /// Elements of every row.
    columns: usize,
    /// The shape as sent first; empty where none was.
    sent: Vec<usize>,
    /// Of each input, the shape and the size of a row.
    shapes: Vec<Vec<usize>>,
    sizes: Vec<usize>,
    /// Whether room has been made for the rows to come.
    reserved: bool,
}

enum Failure {
    /// In one record.
    Row(Fault),
    /// Of the request.
    Whole(DecodeError),
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Self::Row(fault)
    }
}

impl<'s> Table<'s> {
    fn new(signature: &'s Signature, records: usize, limit: usize) -> Result<Self, DecodeError> {
        if signature.inputs.is_empty() {
            return Err(misfit("the model has no input that a record could fill"));
        }
        let elements = signature.inputs.iter().map(conform::element);
        Ok(Self {
            signature,
            data: elements.map(|e| e.map(empty)).collect::<Result<_, _>>()?,
            groups: Vec::new(),
            budget: Budget::new(limit),
            rows: 0,
            records,
        })
    }

    /// Whether a record has the features of the one before, each in its place: no search is needed.
    fn is_as_before(&self, features: &[Feature<'_>]) -> bool {
        let is_there = |group: &Group| {
            let feature = features.get(group.at);
            feature.is_some_and(|feature| feature.name == group.feature)
        };
        !self.groups.is_empty()
            && self.groups.len() == features.len()
            && self.groups.iter().all(is_there)
    }

    /// Finds the feature of every group, and settles the groups if this is the first record.
    fn locate(&mut self, features: &[Feature<'_>]) -> Result<(), Failure> {
        let by_name = ByName::new(features);
        let ports = &self.signature.inputs;
        if self.groups.is_empty() {
            for (name, inputs) in names(&by_name, ports) {
                let (_, feature) = by_name.find(&name)?;
                self.groups
                    .push(Group::new(name, inputs, Row::open(feature)?, ports)?);
            }
        }
        let mut known: Vec<&str> = self.groups.iter().map(|g| g.feature.as_str()).collect();
        known.sort_unstable();
        let surplus = |feature: &&Feature<'_>| known.binary_search(&feature.name).is_err();
        if let Some(surplus) = features.iter().find(surplus) {
            return Err(Failure::Row(Fault::Unfit(format!(
                "feature {} is no input",
                quoted(surplus.name)
            ))));
        }
        for group in &mut self.groups {
            (group.at, _) = by_name.find(&group.feature)?;
        }
        Ok(())
    }

    fn add(&mut self, record: &Record<'_>) -> Result<(), Failure> {
        let features = features(record.payload).map_err(Fault::Broken)?;
        if !self.is_as_before(&features) {
            self.locate(&features)?;
        }
        let ports = &self.signature.inputs;
        let to_come = self.records.saturating_sub(self.rows);
        for group in &mut self.groups {
            let Some(feature) = features.get(group.at) else {
                continue;
            };
            let row = Row::open(*feature)?;
            group.check(&row)?;
            let ports = ports.get(group.inputs.clone()).unwrap_or_default();
            let data = self.data.get_mut(group.inputs.clone()).unwrap_or_default();
            for (port, data) in ports.iter().zip(data.iter()) {
                row.check_kind(&port.name, data.element_type())?;
            }
            let bytes = group.row_bytes(data);
            if row.sparse && !group.reserved {
                // All at once and exactly: growing step by step would overshoot the limit.
                let what = || "the dense form of the records".to_owned();
                self.budget
                    .charge(bytes.saturating_mul(to_come), what)
                    .map_err(Failure::Whole)?;
                group.reserve(data, to_come);
            } else if !group.reserved {
                let beyond = bytes.saturating_sub(record.payload.len());
                self.budget
                    .charge(beyond, || "the rows of the records".to_owned())
                    .map_err(Failure::Whole)?;
            }
            let mut inputs: Vec<(&str, &mut Data, usize)> = ports
                .iter()
                .zip(data)
                .zip(&group.sizes)
                .map(|((port, data), size)| (port.name.as_str(), data, *size))
                .collect();
            match row.sparse {
                true => row.fill(&mut inputs)?,
                false => row.append(inputs.into_iter())?,
            }
        }
        self.rows += 1;
        Ok(())
    }

    fn finish(self) -> Result<Vec<Tensor>, DecodeError> {
        let shapes = self.groups.into_iter().flat_map(|group| group.shapes);
        let tensor = |((port, data), mut shape): ((&Port, Data), Vec<usize>)| {
            shape.insert(0, self.rows);
            conform::tensor(port, shape, data)
        };
        let inputs = self.signature.inputs.iter().zip(self.data).zip(shapes);
        let inputs = inputs.map(tensor).collect::<Result<Vec<_>, _>>()?;
        conform::check(self.signature, &inputs)?;
        Ok(inputs)
    }
}

/// The features to read, as the first record suggests, and the inputs of each.
fn names(features: &ByName<'_>, ports: &[Port]) -> Vec<(String, Range<usize>)> {
    let flat = features.has(VALUES) && !ports.iter().any(|port| features.has(&port.name));
    match flat {
        true => vec![(VALUES.to_owned(), 0..ports.len())],
        false => (0..)
            .zip(ports)
            .map(|(i, port)| (port.name.clone(), i..i + 1))
            .collect(),
    }
}

/// The features of one record and their places, ordered by name.
struct ByName<'a>(Vec<(usize, Feature<'a>)>);

impl<'a> ByName<'a> {
    fn new(features: &[Feature<'a>]) -> Self {
        let mut all: Vec<_> = features.iter().copied().enumerate().collect();
        all.sort_unstable_by_key(|(_, feature)| feature.name);
        Self(all)
    }

    /// Those of a name.
    fn of(&self, name: &str) -> impl Iterator<Item = &(usize, Feature<'a>)> {
        let begin = self.0.partition_point(|(_, feature)| feature.name < name);
        let rest = self.0.get(begin..).unwrap_or_default();
        let end = rest.partition_point(|(_, feature)| feature.name == name);
        rest.iter().take(end)
    }

    fn has(&self, name: &str) -> bool {
        self.of(name).next().is_some()
    }

    /// The one feature of a name, and its place in the record.
    fn find(&self, name: &str) -> Result<(usize, Feature<'a>), Fault> {
        let mut found = self.of(name);
        match (found.next(), found.next()) {
            (Some(feature), None) => Ok(*feature),
            (None, _) => Err(Fault::Unfit(format!("feature {} is missing", quoted(name)))),
            (Some(_), Some(_)) => Err(Fault::Unfit(format!(
                "feature {} is there twice",
                quoted(name)
            ))),
        }
    }
}

impl Group {
    fn new(
        feature: String,
        inputs: Range<usize>,
        row: Row<'_>,
        ports: &[Port],
    ) -> Result<Self, Failure> {
        let ports = ports.get(inputs.clone()).unwrap_or_default();
        let as_sent = match ports {
            [port] if !row.shape.is_empty() => match port.tensor() {
                Some((_, Some(dims))) => row.shape.len() + 1 == dims.len(),
                _ => true,
            },
            _ => false,
        };
        let shapes = match as_sent {
            true => vec![row.shape.clone()],
            false => {
                let flat = Signature {
                    inputs: ports.to_vec(),
                    outputs: Vec::new(),
                };
                let layout = Layout::new(&flat).map_err(Failure::Whole)?;
                layout.shapes(row.columns).map_err(|expected| {
                    Fault::Unfit(format!(
                        "feature {} has {} values, {expected}",
                        quoted(&feature),
                        row.columns
                    ))
                })?
            }
        };
        let size = |shape: &Vec<usize>| element_count(shape).unwrap_or(usize::MAX);
        Ok(Self {
            feature,
            at: 0,
            inputs,
            columns: row.columns,
            sent: row.shape,
            sizes: shapes.iter().map(size).collect(),
            shapes,
            reserved: false,
        })
    }

    /// Checks that a row is as the first one was.
    fn check(&self, row: &Row<'_>) -> Result<(), Fault> {
        // Named only where it is needed: this runs once a record.
        let name = || quoted(&self.feature);
        if row.columns != self.columns {
            return Err(Fault::Unfit(format!(
                "feature {} has {} values where the first record has {}",
                name(),
                row.columns,
                self.columns
            )));
        }
        if row.shape != self.sent && !row.shape.is_empty() && !self.sent.is_empty() {
            return Err(Fault::Unfit(format!(
                "feature {} has shape {:?} where the first record has {:?}",
                name(),
                row.shape,
                self.sent
            )));
        }
        Ok(())
    }

    /// Bytes that a row takes in all inputs.
    fn row_bytes(&self, data: &[Data]) -> usize {
        let each = data.iter().zip(&self.sizes).map(|(data, size)| {
            let bytes = data.element_type().size().unwrap_or(STRING_BYTES);
            size.saturating_mul(bytes)
        });
        each.fold(0, usize::saturating_add)
    }

    /// Makes room for rows that have been charged.
    fn reserve(&mut self, data: &mut [Data], rows: usize) {
        for (data, size) in data.iter_mut().zip(&self.sizes) {
            let more = size.saturating_mul(rows);
            each_type!(data, buffer => owned(buffer).reserve_exact(more));
        }
        self.reserved = true;
    }
}
