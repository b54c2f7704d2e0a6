"""Writes the archives beside this file, with NumPy 2.4 and SciPy 1.17: python3 make.py

Each sparse matrix is the same 4 by 6 one, with a place that is there twice where the format allows it.
"""

import os

import numpy as np
from scipy import sparse

os.chdir(os.path.dirname(os.path.abspath(__file__)))

named = {
    "a": np.array([[1, 2], [3, 4]], "<i8"),
    "b": np.array([[0.5, 1.5], [2.5, 3.5]], "<f4"),
}
np.savez("named.npz", **named)
np.savez_compressed("named_deflated.npz", **named)
np.savez("unnamed.npz", np.arange(1, 9, dtype="<f4").reshape(2, 4))
np.savez_compressed("kinds.npz", **{
    "ünïcode/é:0": np.array(["ä", "", "a🦀b"]),
    "bool": np.array([True, False, True]),
    "half": np.array([1.5, -2.0, np.inf], "<f2"),
    "big": np.array([[0.1, np.nan], [-0.0, 1e300]], ">f8"),
    "fortran": np.asfortranarray(np.arange(6, dtype="<f4").reshape(2, 3)),
    "bytes": np.array([b"ab", b"c"]),
    "none": np.zeros((0, 4), "<u2"),
    "scalar": np.int8(-7),
})

rows, cols = [0, 1, 1, 3, 3, 3], [5, 0, 2, 1, 1, 4]
data = np.array([1.0, 2.0, 3.0, 4.0, 5.0, 6.0], "<f4")
coo = sparse.coo_matrix((data, (rows, cols)), shape=(4, 6))
sparse.save_npz("coo.npz", coo)
# The arrays' form of two axes is not written by this release, but is read by it.
np.savez("coo_coords.npz", format=b"coo", shape=(4, 6), data=data, coords=np.array([rows, cols]), _is_array=True)
csr = sparse.csr_array((data, np.array(cols), np.array([0, 1, 3, 3, 6])), shape=(4, 6))
sparse.save_npz("csr.npz", csr, compressed=False)
order = np.lexsort((rows, cols))
pointers = np.searchsorted(np.array(cols)[order], np.arange(7))
csc = sparse.csc_matrix((data[order], np.array(rows)[order], pointers), shape=(4, 6))
sparse.save_npz("csc.npz", csc)
sparse.save_npz("bsr.npz", sparse.bsr_array(coo.toarray().astype("<i4"), blocksize=(2, 3)))
bands = np.arange(1, 19, dtype="<f8").reshape(3, 6)
dia = sparse.dia_matrix((bands, [0, 2, -1]), shape=(4, 6))
sparse.save_npz("dia.npz", dia)
line = sparse.csr_array(np.array([0, 7, 0, -8], "<i2"))
sparse.save_npz("line.npz", line)

for matrix in (coo, csr, csc):
    assert (matrix.toarray() == coo.toarray()).all()
print(coo.toarray())
print(dia.toarray())
