//! An npz archive → the tensors of the inputs.

use bytes::Bytes;

use super::archive::Archive;
use super::sparse;
use crate::codec::budget::Budget;
use crate::codec::conform;
use crate::codec::error::{misfit, quoted};
use crate::codec::npy::{Array, Origin};
use crate::codec::DecodeError;
use crate::model::{Port, Signature};
use crate::tensor::Tensor;

/// What `np.savez` calls an array that was given without a name.
const UNNAMED: &str = "arr_0.npy";

/// Names in one message.
const NAMED: usize = 8;

/// Reads one array per input. What unpacking and converting take beyond the body is at most `limit`
/// bytes.
///
/// # Errors
/// [`DecodeError`]: no such archive, missing or surplus members, arrays that do not fit, too much.
pub(in crate::codec) fn decode(
    body: &Bytes,
    signature: &Signature,
    limit: usize,
) -> Result<Vec<Tensor>, DecodeError> {
    let wanted = signature.inputs.len().max(sparse::MEMBERS);
    let mut archive = Archive::open(body, wanted)?;
    let mut budget = Budget::new(limit);
    let inputs = match signature.inputs.as_slice() {
        [port] if sparse::is_sparse(&archive, port) => {
            vec![sparse::decode(
                &mut archive,
                (signature, port),
                &mut budget,
            )?]
        }
        _ => dense(&mut archive, signature, &mut budget)?,
    };
    conform::check(signature, &inputs)?;
    Ok(inputs)
}

fn dense(
    archive: &mut Archive,
    signature: &Signature,
    budget: &mut Budget,
) -> Result<Vec<Tensor>, DecodeError> {
    let ports = &signature.inputs;
    let mut members: Vec<String> = ports.iter().map(|p| format!("{}.npy", p.name)).collect();
    if let [member] = members.as_mut_slice() {
        if !archive.has(member) && archive.has(UNNAMED) {
            UNNAMED.clone_into(member);
        }
    }
    complete(archive, &members)?;
    let read = |(port, member): (&Port, &String)| {
        let element = conform::element(port)?;
        let origin = Origin {
            member: Some(member),
            input: Some(&port.name),
        };
        let file = archive.unpack(member, budget)?.unwrap_or_default();
        let array = Array::parse(&file, origin)?;
        // First, so that a wrong type or shape costs nothing.
        array.check_kind(element)?;
        conform::shape(signature, port, array.shape())?;
        budget.charge(array.cost(element), || format!("input {}", port.name))?;
        let data = array.read(element)?;
        conform::tensor(port, array.shape().to_vec(), data)
    };
    ports.iter().zip(&members).map(read).collect()
}

/// Checks that the archive holds these members and no other.
pub(super) fn complete(archive: &Archive, members: &[String]) -> Result<(), DecodeError> {
    let missing = list(
        members
            .iter()
            .map(String::as_str)
            .filter(|member| !archive.has(member)),
    );
    let mut known: Vec<&str> = members.iter().map(String::as_str).collect();
    known.sort_unstable();
    let surplus = list(
        archive
            .names()
            .filter(|name| known.binary_search(name).is_err()),
    );
    let text = match (missing, surplus) {
        (None, None) => return Ok(()),
        (Some(missing), None) => format!("the npz archive lacks {missing}"),
        (None, Some(surplus)) => format!("the npz archive holds {surplus}, which no input takes"),
        (Some(missing), Some(surplus)) => {
            format!("the npz archive lacks {missing} and holds {surplus}, which no input takes")
        }
    };
    Err(misfit(text))
}

/// Names in words; `None` where there is none.
fn list<'n>(names: impl Iterator<Item = &'n str>) -> Option<String> {
    let (mut text, mut count) = (Vec::new(), 0);
    for name in names {
        if count < NAMED {
            text.push(quoted(name));
        }
        count += 1;
    }
    if count > NAMED {
        text.push(format!("{} more", count - NAMED));
    }
    (count > 0).then(|| text.join(", "))
}
