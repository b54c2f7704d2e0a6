"""tritonclient, over HTTP, against a running server's KServe v2 routes.

Takes the addresses of servers on the demo model digits and on the test models
mix (two inputs, two outputs), str (texts) and bf16 (bfloat16 both ways).
"""

import argparse
import asyncio
import json
from pathlib import Path

import numpy as np
import tritonclient.http as http
import tritonclient.http.aio as aio
from ml_dtypes import bfloat16
from tritonclient.utils import InferenceServerException

import home
from checks import Checks, expect, expect_in, refused

MODEL = Path(__file__).parents[2] / "models/digits"
# The name of the one model, as `GET /v2/models/NAME` has it.
NAME = "model"
FLIGHTS = 50


def client(url):
    """A client of a server at `http://HOST:PORT`."""
    return http.InferenceServerClient(url.removeprefix("http://"), concurrency=4)


def given(name, array, datatype, binary=True):
    """An input, its data in JSON or behind it."""
    found = http.InferInput(name, list(array.shape), datatype)
    found.set_data_from_numpy(array, binary_data=binary)
    return found


def asked(*names, binary=True):
    """The outputs that are asked for."""
    return [http.InferRequestedOutput(name, binary_data=binary) for name in names]


def expect_array(found, wanted):
    """Equal shapes and elements, and the same type."""
    wanted = np.asarray(wanted)
    expect(found.shape, wanted.shape, "the shape")
    expect(found.dtype, wanted.dtype, "the type")
    if not np.array_equal(found, wanted):
        raise AssertionError(f"{found.tolist()!r} is not {wanted.tolist()!r}")


def expect_close(found, wanted):
    """Equal shapes, and elements within 0.001."""
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-3)


def health(checks, digits):
    """What a client asks before it sends anything."""
    with checks("live_and_ready"):
        expect(digits.is_server_live(), True)
        expect(digits.is_server_ready(), True)
        expect(digits.is_model_ready(NAME), True)
        expect(digits.is_model_ready(NAME, "1"), True)
    with checks("another_model_is_not_ready"):
        expect(digits.is_model_ready("another"), False)
        expect(digits.is_model_ready(NAME, "2"), False)
    with checks("server_metadata"):
        found = digits.get_server_metadata()
        expect(found["name"], "plimsoll")
        expect_in("binary_tensor_data", found["extensions"])
    with checks("model_metadata"):
        found = digits.get_model_metadata(NAME)
        expect(found["inputs"], [{"name": "X", "datatype": "FP32", "shape": [-1, 64]}])
        outputs = [(one["name"], one["datatype"], one["shape"]) for one in found["outputs"]]
        expect(outputs, [("label", "INT64", [-1]), ("probabilities", "FP32", [-1, 10])])
        expect(found["versions"], ["1"])


def tensors(checks, digits, mix):
    """Each way that tensors can travel."""
    figures = np.array(json.loads((MODEL / "request.json").read_bytes())["instances"], dtype=np.float32)
    known = json.loads((MODEL / "reply.json").read_bytes())["predictions"]
    labels = np.array([one["label"] for one in known], dtype=np.int64)
    probabilities = np.array([one["probabilities"] for one in known], dtype=np.float32)
    for name, binary_in, binary_out in (
        ("json_both_ways", False, False),
        ("binary_both_ways", True, True),
        ("json_in_and_binary_out", False, True),
        ("binary_in_and_json_out", True, False),
    ):
        with checks(name):
            outputs = asked("label", "probabilities", binary=binary_out)
            found = digits.infer(NAME, [given("X", figures, "FP32", binary_in)], outputs=outputs)
            expect_array(found.as_numpy("label"), labels)
            expect_close(found.as_numpy("probabilities"), probabilities)
    with checks("no_outputs_asked_for_are_all"):
        found = digits.infer(NAME, [given("X", figures, "FP32")])
        expect([one["name"] for one in found.get_response()["outputs"]], ["label", "probabilities"])
    left = np.array([[1, 2], [3, 4]], dtype=np.int64)
    right = np.array([[0.5, 0.5], [1.5, -1.5]], dtype=np.float32)
    both = [given("a", left, "INT64"), given("b", right, "FP32")]
    with checks("two_inputs_of_two_types"):
        found = mix.infer(NAME, both)
        expect_array(found.as_numpy("s"), (left + right).astype(np.float32))
        expect_array(found.as_numpy("d"), (left - right).astype(np.float32))
    with checks("one_input_in_json_beside_a_binary_one"):
        found = mix.infer(NAME, [given("a", left, "INT64", False), given("b", right, "FP32")])
        expect_array(found.as_numpy("s"), (left + right).astype(np.float32))
    with checks("only_the_output_asked_for"):
        found = mix.infer(NAME, both, outputs=asked("d"))
        expect(found.as_numpy("s"), None, "s")
        expect_array(found.as_numpy("d"), (left - right).astype(np.float32))
    with checks("id_and_version_come_back"):
        response = mix.infer(NAME, both, model_version="1", request_id="q-1").get_response()
        expect((response["id"], response["model_name"], response["model_version"]), ("q-1", NAME, "1"))
    with checks("a_thousand_records"):
        many = np.repeat(figures, 1000, axis=0)
        found = digits.infer(NAME, [given("X", many, "FP32")])
        expect_array(found.as_numpy("label"), np.repeat(labels, 1000))


def compression(checks, mix):
    """gzip and deflate, both ways."""
    rows = 5000
    left = np.arange(2 * rows, dtype=np.int64).reshape(rows, 2)
    right = np.ones((rows, 2), dtype=np.float32)
    both = [given("a", left, "INT64"), given("b", right, "FP32")]
    wanted = (left + 1).astype(np.float32)
    for algorithm in ("gzip", "deflate"):
        with checks(f"{algorithm}_request"):
            found = mix.infer(NAME, both, request_compression_algorithm=algorithm)
            expect_array(found.as_numpy("s"), wanted)
        with checks(f"{algorithm}_answer"):
            found = mix.infer(NAME, both, response_compression_algorithm=algorithm)
            expect_array(found.as_numpy("s"), wanted)
        with checks(f"{algorithm}_both_ways_in_json"):
            found = mix.infer(
                NAME,
                [given("a", left, "INT64", False), given("b", right, "FP32", False)],
                outputs=asked("s", binary=False),
                request_compression_algorithm=algorithm,
                response_compression_algorithm=algorithm,
            )
            expect_array(found.as_numpy("s"), wanted)


def types(checks, text, bf16):
    """Texts and bfloat16."""
    words = np.array(["a", "ü", "", "two words"], dtype=np.object_)
    for name, binary in (("texts_in_json", False), ("texts_in_binary", True)):
        with checks(name):
            found = text.infer(NAME, [given("text", words, "BYTES", binary)], outputs=asked("same", binary=binary))
            same = [one.decode() if isinstance(one, bytes) else one for one in found.as_numpy("same")]
            expect(same, words.tolist())
    wide = np.array([1.0, 1.00390625, -3.140625, 65280.0], dtype=np.float32)
    with checks("bfloat16"):
        back = wide.astype(bfloat16)
        found = bf16.infer(NAME, [given("wide", wide, "FP32"), given("back", back, "BF16")])
        expect_array(found.as_numpy("narrow").astype(np.float32), back.astype(np.float32))
        expect_array(found.as_numpy("forth"), back.astype(np.float32))


def at_once(checks, url, digits, mix):
    """Several requests in flight, with the client's threads and with asyncio."""
    left = np.array([[1, 2]], dtype=np.int64)

    def both(i):
        return [given("a", left, "INT64"), given("b", np.full((1, 2), i, dtype=np.float32), "FP32")]

    with checks("async_infer"):
        flights = [mix.async_infer(NAME, both(i), request_id=str(i)) for i in range(FLIGHTS)]
        for i, flight in enumerate(flights):
            found = flight.get_result(timeout=30)
            expect(found.get_response()["id"], str(i))
            expect_array(found.as_numpy("s"), (left + i).astype(np.float32))

    async def asynchronous():
        async with aio.InferenceServerClient(url.removeprefix("http://")) as one:
            expect(await one.is_server_ready(), True)
            flights = [one.infer(NAME, both(i), request_id=str(i)) for i in range(FLIGHTS)]
            for i, found in enumerate(await asyncio.gather(*flights)):
                expect_array(found.as_numpy("d"), (left - i).astype(np.float32))

    with checks("asyncio"):
        asyncio.run(asynchronous())
    with checks("the_server_is_still_ready"):
        expect(digits.is_server_ready() and mix.is_server_ready(), True)


def refusals(checks, digits, mix, text):
    """What a caller did wrong is said as tritonclient says it."""
    right = np.zeros((1, 2), dtype=np.float32)
    wrong = InferenceServerException
    with checks("a_wrong_shape_is_refused"):
        with refused(wrong, "[400]", "64"):
            digits.infer(NAME, [given("X", right, "FP32")])
    with checks("a_wrong_type_is_refused"):
        with refused(wrong, "[400]", "INT64"):
            mix.infer(NAME, [given("a", right, "FP32"), given("b", right, "FP32")])
    with checks("an_unknown_input_is_refused"):
        with refused(wrong, "[400]", "unheard"):
            digits.infer(NAME, [given("unheard", right, "FP32")])
    with checks("an_unknown_output_is_refused"):
        with refused(wrong, "[400]", "unheard"):
            left = np.zeros((1, 2), dtype=np.int64)
            mix.infer(NAME, [given("a", left, "INT64"), given("b", right, "FP32")], outputs=asked("unheard"))
    with checks("an_unknown_model_is_refused"):
        with refused(wrong, "[404]", "another"):
            digits.infer("another", [given("X", right, "FP32")])
    with checks("an_unknown_version_is_refused"):
        with refused(wrong, "[404]"):
            digits.infer(NAME, [given("X", right, "FP32")], model_version="2")
    with checks("classification_is_refused"):
        with refused(wrong, "[400]"):
            words = given("text", np.array(["a"], dtype=np.object_), "BYTES")
            text.infer(NAME, [words], outputs=[http.InferRequestedOutput("same", class_count=2)])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("digits", "mix", "str", "bf16"):
        parser.add_argument(f"--{name}", required=True, metavar="URL")
    urls = vars(parser.parse_args())
    home.guard()
    checks = Checks()
    digits, mix, text, bf16 = (client(urls[name]) for name in ("digits", "mix", "str", "bf16"))
    health(checks, digits)
    tensors(checks, digits, mix)
    compression(checks, mix)
    types(checks, text, bf16)
    at_once(checks, urls["mix"], digits, mix)
    refusals(checks, digits, mix, text)
    for one in (digits, mix, text, bf16):
        one.close()
    with checks("nothing_phones_home"):
        expect(home.wanted(), [], "where it wanted to go")
    checks.finish()


if __name__ == "__main__":
    main()
