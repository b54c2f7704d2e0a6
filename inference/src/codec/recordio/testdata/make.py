"""Writes the bodies beside this file: python3 make.py

An encoder of its own, after the description of the format, so that it shares no mistake with the reader.
"""

import os
import struct

os.chdir(os.path.dirname(os.path.abspath(__file__)))


def varint(n):
    n &= (1 << 64) - 1
    out = bytearray()
    while True:
        out.append(n & 127 | (128 if n > 127 else 0))
        n >>= 7
        if not n:
            return bytes(out)


def field(number, payload):
    return varint(number << 3 | 2) + varint(len(payload)) + payload


KINDS = {"f": 2, "d": 3, "i": 7}


def tensor(kind, values, keys=None, shape=None, packed=True):
    if kind == "i":
        each = [varint(v) for v in values]
    else:
        each = [struct.pack("<" + kind, v) for v in values]
    if packed:
        out = field(1, b"".join(each))
    else:
        wire = {"f": 5, "d": 1, "i": 0}[kind]
        out = b"".join(varint(1 << 3 | wire) + e for e in each)
    for number, numbers in ((2, keys), (3, shape)):
        if numbers:
            out += field(number, b"".join(map(varint, numbers)))
    return field(KINDS[kind], out)


def text(*values):
    return field(9, b"".join(field(1, v.encode()) for v in values) + field(2, b"text/plain"))


def record(features, label=None):
    payload = b"".join(field(1, field(1, name.encode()) + field(2, value)) for name, value in features)
    if label is not None:
        payload += field(2, field(1, b"values") + field(2, label))
    payload += field(3, b"an id") + field(4, b"{}")
    return struct.pack("<II", 0xCED7230A, len(payload)) + payload + bytes(-len(payload) % 4)


def write(name, *records):
    with open(name, "wb") as file:
        file.write(b"".join(records))


write(
    "dense.pbr",
    record([("values", tensor("f", [1, 2, 3, 4]))], label=tensor("f", [9])),
    record([("values", tensor("d", [5, 6, 7, 8], shape=[4]))]),
    record([("values", tensor("i", [9, -10, 11, 12], packed=False))]),
    record([("values", tensor("f", [0.5, 1.5, 2.5, 3.5], packed=False))]),
)
write(
    "sparse.pbr",
    record([("values", tensor("f", [1.5, -2], keys=[3, 0], shape=[4]))]),
    record([("values", tensor("f", [], shape=[4]))]),
    record([("values", tensor("d", [7], keys=[2], shape=[4]))]),
)
write(
    "named.pbr",
    record([("b", tensor("f", [0.5, 1.5])), ("a", tensor("i", [1, 2]))]),
    record([("a", tensor("f", [3, 4])), ("b", tensor("d", [2.5, 3.5]))]),
)
write("flat.pbr", record([("values", tensor("f", [1, 2, 0.5, 1.5]))]), record([("values", tensor("f", [3, 4, 2.5, 3.5]))]))
write("text.pbr", record([("x", text("ä🦀"))]), record([("x", text(""))]))
