//! `application/x-npy`: one array in NumPy's format, for models of one input and replies of one
//! output.
//!
//! In: format versions 1 to 3, bool, integers, floats and fixed-width text of either byte order, C
//! or Fortran order. An array of the input's own type, little-endian and in C order stays where it
//! is, in the body. Other types are converted where each value fits: integers to integers and to
//! floats, floats to floats (rounded; a finite value may not become infinite), bools to numbers,
//! numbers 0 and 1 to bools. Floats never become integers, and text never becomes anything else.
//! Python objects, structures, complex numbers and dates are refused.
//!
//! Out: version 1, little-endian, C order; strings as `<U`.

mod array;
mod header;
mod read;
mod write;

pub(super) use array::{Array, Origin};
pub(super) use read::decode;
pub(super) use write::{encode, file};

#[cfg(test)]
mod tests;
