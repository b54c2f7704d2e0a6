//! `application/x-npz`: an archive of named arrays, as `np.savez` and `np.savez_compressed` write it.
//!
//! In: member `NAME.npy` is the input NAME, whatever characters that holds; members are stored or
//! deflated, and each is read as an `application/x-npy` body is. A model of one input also takes
//! `arr_0.npy`, which is what `np.savez` calls an array without a name. Members that no input takes
//! are refused, so that a misspelt name does not pass. The array of a stored member stays in the
//! body where its bytes are aligned.
//!
//! A model of one input also takes a matrix as `scipy.sparse.save_npz` writes it (csr, csc, coo,
//! bsr, dia): the archive has members `format`, `shape` and `data`, none of which is the input. It
//! becomes what SciPy's `toarray` gives, and is then converted as any array is.
//!
//! What unpacking, converting and filling out take beyond the body is charged before it is
//! allocated (see [`super::budget`]), whatever sizes the archive claims.
//!
//! Out: every output as a stored member, written as an `application/x-npy` reply is.

mod archive;
mod read;
mod sparse;
mod write;

pub(super) use read::decode;
pub(super) use write::encode;

#[cfg(test)]
mod tests;
