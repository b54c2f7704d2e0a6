"""That the comparison sees what is wrong, and that the formats are the documented ones."""

import json
import unittest

import compare
import formats
import ml_dtypes
import numpy as np
import report
from client import FAILED, PASSED, SKIPPED

TRITON = formats.ALL["triton"]
V2 = formats.ALL["v2"]


def difference(expected, found, dtype=np.float32):
    return compare.difference(np.array(expected, dtype), np.array(found, dtype), rtol=1e-3, atol=1e-7)


class Comparison(unittest.TestCase):
    def test_floats_may_differ_within_the_tolerance_only(self):
        self.assertIsNone(difference([1.0, 2.0], [1.0005, 2.0]))
        self.assertIn("1 of 2 elements differ", difference([1.0, 2.0], [1.01, 2.0]))

    def test_integers_texts_and_bools_must_be_exact(self):
        self.assertIsNone(difference([100_000], [100_000], np.int64))
        self.assertTrue(difference([100_000], [100_001], np.int64))
        self.assertTrue(difference(["a"], ["b"], object))
        self.assertTrue(difference([True], [False], bool))

    def test_nan_is_only_nan_and_an_infinity_only_itself(self):
        self.assertIsNone(difference([np.nan, np.inf], [np.nan, np.inf]))
        self.assertTrue(difference([np.nan], [0]))
        self.assertTrue(difference([np.inf], [-np.inf]))

    def test_shape_and_type_count(self):
        self.assertIn("shape [1]", difference(1.0, [1.0]))
        self.assertIn("shape [0, 2]", difference(np.zeros((2, 0)), np.zeros((0, 2))))
        wide = np.array([1.0])
        self.assertIn("type float64", compare.difference(wide.astype(np.float32), wide, 1e-3, 1e-7))


class Formats(unittest.TestCase):
    def test_triton_is_a_header_and_raw_tensors(self):
        inputs = {"t": np.array(["né", ""], object), "b": np.array([True, False]), "i": np.array(-2, np.int16)}
        headers, body = TRITON.encode(inputs)
        size = int(headers["Content-Type"].partition("json-header-size=")[2])
        head = json.loads(body[:size])
        self.assertEqual([entry["datatype"] for entry in head["inputs"]], ["BYTES", "BOOL", "INT16"])
        self.assertEqual([entry["parameters"]["binary_data_size"] for entry in head["inputs"]], [11, 2, 2])
        self.assertEqual(body[size:], b"\x03\0\0\0n\xc3\xa9\0\0\0\0" + b"\x01\0" + b"\xfe\xff")

    def test_triton_replies_are_taken_at_their_word(self):
        head = {"outputs": [{"name": "y", "shape": [1], "datatype": "BF16", "parameters": {"binary_data_size": 2}}]}
        text = json.dumps(head).encode()
        media = formats.media_type(f"{TRITON.media}; json-header-size={len(text)}")
        self.assertEqual(TRITON.decode(media, text + b"\x80\x3f")["y"], ml_dtypes.bfloat16(1))
        for rest in (b"\x80", b"\x80\x3f\0"):
            with self.assertRaises(formats.BadReply):
                TRITON.decode(media, text + rest)

    def test_v2_writes_what_is_no_number_as_null_and_text(self):
        _, body = V2.encode({"x": np.array([np.nan, -np.inf, 0.5], np.float16)})
        entry = {"name": "x", "shape": [3], "datatype": "FP16", "data": [None, "-Infinity", 0.5]}
        self.assertEqual(json.loads(body), {"inputs": [entry]})

    def test_v2_replies_are_strict_json_of_the_type_they_name(self):
        reply = '{"outputs": [{"name": "y", "shape": [1], "datatype": "%s", "data": [%s]}]}'
        self.assertEqual(V2.decode(None, reply % ("UINT64", 2**64 - 1))["y"][0], np.uint64(2**64 - 1))
        for datatype, data in (("INT64", "1.0"), ("BOOL", "1"), ("BYTES", "1"), ("FP32", "NaN"), ("FP32", '"NaN"')):
            with self.assertRaises(formats.BadReply, msg=f"{datatype} {data}"):
                V2.decode(None, reply % (datatype, data))

    def test_npz_has_a_member_for_each_input(self):
        arrays = {"a/b": np.array(["x", "yz"], object), "n": np.zeros((0, 3), np.uint8)}
        _, body = formats.ALL["npz"].encode(arrays)
        found = formats.ALL["npz"].decode(None, body)
        self.assertEqual(list(found), list(arrays))
        self.assertTrue(all(compare.difference(arrays[name], found[name], 0, 0) is None for name in arrays))


class Report(unittest.TestCase):
    def test_a_failure_decides_the_exit_status(self):
        self.assertEqual(report.show({"a": {"v2": [PASSED, ""]}, "b": {"v2": [SKIPPED, "sequence"]}}, ["v2"]), 0)
        self.assertEqual(report.show({"a": {"v2": [FAILED, "500"]}}, ["v2"]), 1)


if __name__ == "__main__":
    unittest.main(buffer=True)
