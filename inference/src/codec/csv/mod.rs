//! `text/csv`: one line per record, no header, neither in nor out.
//!
//! In: RFC 4180 quotes; lines end with `\n`, `\r\n` or a bare `\r`, the last one optionally; blank
//! lines are skipped; commas part cells and nothing else does. The columns of a line fill the
//! inputs in order (see [`super::layout`]). Around numbers spaces are ignored; `nan`, `inf` and
//! `-inf` in any case are floats, an empty cell is NaN for a float and refused for an integer;
//! `true`, `false` in any case and `1`, `0` are bools; strings are taken as they are.
//!
//! Out: outputs in order, each record flattened in row-major order; maps give their values in the
//! order of their keys. Numbers are the shortest that read back, `nan`, `inf`, `-inf`, `true`,
//! `false`; strings are quoted where they must be. No newline ends the last line.

mod read;
mod write;

pub(super) use read::decode;
pub(super) use write::encode;

#[cfg(test)]
mod tests;
