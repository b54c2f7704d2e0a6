//! `application/x-recordio-protobuf`: a row per record, as Amazon's built-in algorithms take it.
//!
//! A record is framed by `uint32 0xced7230a`, `uint32 length` and zeros up to a multiple of four, all
//! little-endian; the zeros behind the last one may be missing. Its payload is the protobuf message
//! `aialgs.data.Record`, of which only `features` are read: tensors of float32, float64 or int32, or
//! bytes, which are text here. Labels and metadata are passed over. Records that go on in the next
//! one, as MXNet writes large ones, are refused.
//!
//! In: a model of one input takes the feature `values` or the one of the input's name. A model of
//! several takes a feature per input, or `values` as one flat row that is laid out as a CSV line is.
//! A tensor with `keys` is sparse: it needs its `shape`, and is filled with zeros within the limit.
//! Numbers become the input's type where each fits; as the format knows neither bool nor the wider
//! integers, a float without a fraction is taken for an integer.
//!
//! Out: a record per row, the outputs under `label`: one as `values`, several by their names. Halves
//! become float32; integers become int32 where all of them fit, and are refused where not.

mod frame;
mod proto;
mod read;
mod row;
mod write;

pub(super) use read::decode;
pub(super) use write::encode;

#[cfg(test)]
mod tests;
