"""boto3's `sagemaker-runtime` client against a running server, through runtime_proxy.py.

Takes the addresses of three servers: on the demo model digits, and on the test
models gather (whose run fails on an index beyond 4) and total (the sum of any
number of float32 values). No AWS account.
"""

import argparse
import json
import struct
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError, EventStreamError

import home
import runtime_proxy
from checks import Checks, expect, expect_in, expect_near, refused

MODEL = Path(__file__).parents[2] / "models/digits"
JSON, CSV, LINES, RAW = "application/json", "text/csv", "application/jsonlines", "application/octet-stream"
# The API takes a body of 25 MB on a real-time endpoint.
LARGE_BYTES = 24 << 20
CALLERS = 16


class Endpoint:
    """An endpoint of the API, whose container is a server here."""

    def __init__(self, url):
        self.client = boto3.client(
            "sagemaker-runtime",
            endpoint_url=runtime_proxy.start(url),
            region_name="eu-west-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",
            config=Config(retries={"total_max_attempts": 1}, max_pool_connections=CALLERS, proxies={}),
        )

    def invoke(self, body, content_type=JSON, **parameters):
        """The answer, its body read."""
        answer = self.client.invoke_endpoint(
            EndpointName="demo", Body=body, ContentType=content_type, **parameters
        )
        answer["Body"] = answer["Body"].read()
        return answer

    def stream(self, body, **parameters):
        """The answer to the streaming call, its parts still to come."""
        return self.client.invoke_endpoint_with_response_stream(
            EndpointName="demo", Body=body, ContentType=LINES, Accept=LINES, **parameters
        )

    def refusal(self, body, content_type=JSON, **parameters):
        """The container's status and text, where the call is a ModelError."""
        try:
            self.invoke(body, content_type, **parameters)
        except ClientError as error:
            expect(error.response["Error"]["Code"], "ModelError", "the error's code")
            expect(error.response["ResponseMetadata"]["HTTPStatusCode"], 424, "the status")
            said = json.loads(error.response["OriginalMessage"])
            expect(said["code"], error.response["OriginalStatusCode"], "the code in the body")
            return said["code"], said["error"]
        raise AssertionError("nothing was refused")


def parts(answer):
    """The parts of a streamed answer."""
    for event in answer["Body"]:
        yield event["PayloadPart"]["Bytes"]


def lines(content):
    """JSON Lines."""
    return [json.loads(line) for line in content.splitlines()]


def invocations(checks, digits):
    """Content types, headers, concurrency."""
    request = (MODEL / "request.json").read_bytes()
    row = json.loads(request)["instances"][0]
    known = json.loads((MODEL / "reply.json").read_bytes())["predictions"][0]
    with checks("json"):
        answer = digits.invoke(request)
        found = json.loads(answer["Body"])["predictions"][0]
        expect(answer["ContentType"], JSON, "the type")
        expect(answer["InvokedProductionVariant"], runtime_proxy.VARIANT)
        expect(found["label"], known["label"])
        expect_near(found["probabilities"], known["probabilities"])
    with checks("csv"):
        answer = digits.invoke(",".join(map(str, row)), CSV)
        expect(answer["ContentType"], CSV, "the type")
        label, *probabilities = answer["Body"].decode().split(",")
        expect(int(label), known["label"])
        expect_near(probabilities, known["probabilities"])
    with checks("bytes"):
        answer = digits.invoke(struct.pack("<64f", *row), RAW)
        expect(answer["ContentType"], JSON, "the type")
        found = json.loads(answer["Body"])
        expect(found["label"], [known["label"]])
        expect_near(found["probabilities"][0], known["probabilities"])
    with checks("the_answer_has_the_type_that_is_accepted"):
        for accept, expected in ((CSV, CSV), (LINES, LINES), (f"{CSV}, {JSON}", CSV), ("*/*", JSON)):
            expect(digits.invoke(request, Accept=accept)["ContentType"], expected, accept)
    with checks("custom_attributes_come_back"):
        expect(digits.invoke(request, CustomAttributes="trace=abc;n=1")["CustomAttributes"], "trace=abc;n=1")
        expect("CustomAttributes" in digits.invoke(request), False, "that there are some")
    with checks("every_other_parameter_changes_nothing"):
        plain = digits.invoke(request)["Body"]
        parameters = {
            "TargetModel": "a/b.tar.gz", "TargetVariant": "AllTraffic", "TargetContainerHostname": "first",
            "InferenceId": "id-1", "EnableExplanations": "`false`", "InferenceComponentName": "component",
        }  # fmt: skip
        expect(digits.invoke(request, **parameters)["Body"], plain)
    with checks("calls_at_the_same_time"):
        with ThreadPoolExecutor(CALLERS) as callers:
            found = list(callers.map(lambda _: digits.invoke(request)["Body"], range(20 * CALLERS)))
        expect(set(found), {digits.invoke(request)["Body"]}, "what came back")


def large(checks, total):
    """As much as the API takes."""
    with checks("a_body_of_24_mb"):
        answer = total.invoke(struct.pack("<f", 1.0) * (LARGE_BYTES // 4), RAW)
        expect(json.loads(answer["Body"]), [float(LARGE_BYTES // 4)])


def refusals(checks, digits, gather):
    """Whose fault it is reaches the caller."""
    request = (MODEL / "request.json").read_bytes()
    with checks("a_wrong_shape_is_the_callers_fault"):
        status, error = digits.refusal('{"instances": [[1, 2, 3]]}')
        expect(status, 400)
        expect_in("64", error)
    with checks("an_unknown_type_is_415"):
        expect(digits.refusal(request, "application/x-unknown")[0], 415)
    with checks("an_unknown_accept_is_406"):
        expect(digits.refusal(request, Accept="application/x-unknown")[0], 406)
    with checks("a_run_that_fails_is_the_models_fault"):
        expect(gather.refusal("[1000000]")[0], 500)
        expect(json.loads(gather.invoke("[4]")["Body"]), [4.5])


def streams(checks, digits, gather):
    """InvokeEndpointWithResponseStream."""
    row = json.loads((MODEL / "request.json").read_bytes())["instances"][0]
    rows = 300
    body = "\n".join(json.dumps(row[i % 64 :] + row[: i % 64]) for i in range(rows))
    with checks("a_stream_is_the_whole_answer_in_parts"):
        whole = lines(digits.invoke(body, LINES, Accept=LINES)["Body"])
        answer = digits.stream(body, CustomAttributes="trace=abc")
        expect(answer["ContentType"], LINES, "the type")
        expect(answer["CustomAttributes"], "trace=abc")
        expect(answer["InvokedProductionVariant"], runtime_proxy.VARIANT)
        found = list(parts(answer))
        if not rows // 64 <= len(found) <= rows:
            raise AssertionError(f"{len(found)} parts for {rows} records")
        expect(len(whole), rows, "the number of records")
        found = lines(b"".join(found))
        expect([one["label"] for one in found], [one["label"] for one in whole], "the labels")
        for one, other in zip(found, whole):
            expect_near(one["probabilities"], other["probabilities"], 1e-5)
    with checks("few_records_come_in_one_part"):
        found = list(parts(digits.stream(json.dumps(row))))
        expect(len(found), 1, "the number of parts")
        expect(len(lines(found[0])), 1, "the number of records")
    with checks("what_is_refused_is_no_stream"):
        with refused(ClientError, "ModelError", "line 200"):
            digits.stream("\n".join([json.dumps(row)] * 199 + ["[1, 2, 3]"]))
    with checks("a_stream_that_breaks_is_an_error"):
        received = []
        with refused(EventStreamError, "ModelStreamError"):
            for part in parts(gather.stream("1\n" * 199 + "1000000\n")):
                received.extend(lines(part))
            raise AssertionError("it ended as if it were whole")
        expect(set(received), {1.5}, "what came before")
        expect(len(received) >= 64, True, f"{len(received)} records at least 64")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("digits", "gather", "total"):
        parser.add_argument(f"--{name}", required=True, metavar="URL")
    arguments = parser.parse_args()
    home.guard()
    checks = Checks()
    digits, gather = Endpoint(arguments.digits), Endpoint(arguments.gather)
    invocations(checks, digits)
    large(checks, Endpoint(arguments.total))
    refusals(checks, digits, gather)
    streams(checks, digits, gather)
    with checks("nothing_phones_home"):
        expect(home.wanted(), [], "where it wanted to go")
    checks.finish()


if __name__ == "__main__":
    main()
