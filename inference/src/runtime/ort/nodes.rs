//! Which provider runs a session's nodes: what ONNX Runtime really decided, asked of it.

use std::ffi::{c_char, CStr};
use std::ptr;

use ort::session::Session;
use ort::AsPointer;

use crate::device::Nodes;

/// To be set on a session for [`assigned`] to have something to tell.
pub(super) const RECORD: (&str, &str) = ("session.record_ep_graph_assignment_info", "1");

/// The nodes by provider, after the runtime's own optimisations; `None` where it does not tell.
#[expect(
    unsafe_code,
    reason = "the assignment is behind C functions that the ort crate does not pass on"
)]
pub(super) fn assigned(session: &Session) -> Option<Nodes> {
    let api = ort::api();
    let mut nodes = Nodes::default();
    // SAFETY: the functions are of ONNX Runtime's API 24, which is the oldest that is accepted; the
    // session outlives the call, and what they return belongs to it; every out-pointer is valid, and
    // a status that is not null means that nothing was written.
    unsafe {
        let (mut graphs, mut count) = (ptr::null(), 0);
        ok((api.Session_GetEpGraphAssignmentInfo)(
            session.ptr(),
            &mut graphs,
            &mut count,
        ))?;
        for &graph in slice(graphs, count) {
            let mut provider = ptr::null();
            ok((api.EpAssignedSubgraph_GetEpName)(graph, &mut provider))?;
            let provider = text(provider)?;
            let (mut members, mut count) = (ptr::null(), 0);
            ok((api.EpAssignedSubgraph_GetNodes)(
                graph,
                &mut members,
                &mut count,
            ))?;
            for &member in slice(members, count) {
                let mut operator = ptr::null();
                ok((api.EpAssignedNode_GetOperatorType)(member, &mut operator))?;
                nodes.count(&provider, &text(operator)?);
            }
        }
    }
    Some(nodes)
}

/// `None` where the call failed.
#[expect(unsafe_code, reason = "a status is to be released by hand")]
fn ok(status: ort::sys::OrtStatusPtr) -> Option<()> {
    if status.0.is_null() {
        return Some(());
    }
    // SAFETY: the status is the caller's, and is not used again.
    unsafe { (ort::api().ReleaseStatus)(status.0) };
    None
}

/// # Safety
/// `first` points at `count` values that live as long as the session that they were asked of.
#[expect(unsafe_code, reason = "an array of C")]
unsafe fn slice<'s, T>(first: *const T, count: usize) -> &'s [T] {
    match first.is_null() {
        true => &[],
        // SAFETY: as above.
        false => unsafe { std::slice::from_raw_parts(first, count) },
    }
}

/// # Safety
/// `text` is null or a string of C.
#[expect(unsafe_code, reason = "a string of C")]
unsafe fn text(text: *const c_char) -> Option<String> {
    if text.is_null() {
        return None;
    }
    // SAFETY: as above.
    let text = unsafe { CStr::from_ptr(text) };
    Some(text.to_string_lossy().into_owned())
}
