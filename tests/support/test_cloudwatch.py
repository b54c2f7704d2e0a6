"""Tests of the CloudWatch stand-in itself: what it takes, refuses and keeps."""

import gzip
import json
import time
import unittest
from datetime import datetime, timedelta, timezone

import cbor2
from werkzeug.test import Client

from cloudwatch import SERVICE, StandIn
from put_metric_limits import BrokenRule, check_call

NOW = datetime(2026, 7, 1, tzinfo=timezone.utc)
ROUTE = f"/service/{SERVICE}/operation/PutMetricData"
SIGNED = "AWS4-HMAC-SHA256 Credential=test/20260701/eu-west-1/monitoring/aws4_request, Signature=0"


def call(namespace="Plimsoll", **members):
    return {"Namespace": namespace, "MetricData": [{"MetricName": "Latency", **members}]}


def dimensions(count):
    return [{"Name": f"d{index}", "Value": "v"} for index in range(count)]


class Limits(unittest.TestCase):
    def test_a_call_at_every_limit_is_taken(self):
        datum = {
            "MetricName": "Latency", "Unit": "Microseconds", "StorageResolution": 1, "Dimensions": dimensions(30),
            "Timestamp": NOW - timedelta(days=14), "Values": [float(n) for n in range(150)], "Counts": [2.0] * 150,
        }  # fmt: skip
        check_call({"Namespace": "Plimsoll", "MetricData": [datum] * 1000}, 1_000_000, NOW)

    def test_every_broken_rule_is_named(self):
        one = {"Value": 1.0}
        broken = {
            "begins with AWS/": call("AWS/SageMaker", **one),
            "151 Values": call(Values=[float(n) for n in range(151)]),
            "1 Values and 2 Counts": call(Values=[1.0], Counts=[1.0, 2.0]),
            "repeats a value": call(Values=[1.0, 1.0]),
            "whole number above 0": call(Values=[1.0], Counts=[0.5]),
            "Counts without Values": call(Counts=[1.0], **one),
            "31 dimensions": call(Dimensions=dimensions(31), **one),
            "twice": call(Dimensions=dimensions(1) * 2, **one),
            "printable ASCII": call(Dimensions=[{"Name": "d", "Value": "ü"}], **one),
            "1 or 60": call(StorageResolution=10, **one),
            "is nan": call(Value=float("nan")),
            "is inf": call(Value=float("inf")),
            "2^360": call(Value=2.0**361),
            "two weeks back": call(Timestamp=NOW - timedelta(days=15), **one),
            "two hours ahead": call(Timestamp=NOW + timedelta(hours=3), **one),
            "is not a CloudWatch unit": call(Unit="Furlongs", **one),
            "exactly one of": call(),
            "at least one datum": {"Namespace": "Plimsoll", "MetricData": []},
            "1001 datums": {"Namespace": "Plimsoll", "MetricData": [{"MetricName": "m", **one}] * 1001},
        }
        for words, wrong in broken.items():
            with self.subTest(words), self.assertRaisesRegex(BrokenRule, words.replace("^", r"\^")):
                check_call(wrong, 1000, NOW)

    def test_a_body_above_the_limit_is_refused(self):
        with self.assertRaisesRegex(BrokenRule, "1000001 bytes"):
            check_call(call(Value=1.0), 1_000_001, NOW)


class Translation(unittest.TestCase):
    def setUp(self):
        self.stand_in = StandIn()
        self.client = Client(self.stand_in)

    def put(self, body, **headers):
        headers = {"Smithy-Protocol": "rpc-v2-cbor", "Authorization": SIGNED} | headers
        return self.client.post(ROUTE, data=body, headers=headers)

    def captured(self):
        return self.client.get("/_captured").get_json()

    def fault(self, mode, seconds=0.0):
        self.client.post("/_fault", data=json.dumps({"mode": mode, "seconds": seconds}))

    def test_a_cbor_call_is_kept_with_what_it_said(self):
        stamp = time.time()
        body = cbor2.dumps(call(Timestamp=cbor2.CBORTag(1, stamp), Values=[1.0, 5.0], Counts=[3.0, 1.0]))
        reply = self.put(gzip.compress(body), **{"Content-Encoding": "gzip"})
        self.assertEqual((reply.status_code, reply.headers["Smithy-Protocol"]), (200, "rpc-v2-cbor"))
        (kept,) = self.captured()["calls"]
        self.assertEqual((kept["protocol"], kept["region"], kept["gzip"]), ("rpc-v2-cbor", "eu-west-1", True))
        self.assertEqual(kept["data"][0]["Counts"], [3.0, 1.0])
        self.assertAlmostEqual(kept["data"][0]["Timestamp"], stamp, places=3)

    def test_a_refusal_comes_back_in_cbor_and_names_the_rule(self):
        reply = self.put(cbor2.dumps(call(Value=float("nan"))))
        self.assertEqual(reply.status_code, 400)
        self.assertIn("only finite numbers", cbor2.loads(reply.data)["message"])
        self.assertEqual(len(self.captured()["refused"]), 1)

    def test_a_body_that_is_no_call_is_refused(self):
        for body in (b"\xff", b"", cbor2.dumps([1]), cbor2.dumps({"MetricData": [1]})):
            self.assertEqual(self.put(body).status_code, 400, body)

    def test_every_other_operation_is_translated_both_ways(self):
        alarm = {
            "AlarmName": "guard", "Namespace": "Plimsoll", "MetricName": "OfferedLoad", "Statistic": "Average",
            "Period": 10, "EvaluationPeriods": 3, "Threshold": 130.0, "ComparisonOperator": "GreaterThanThreshold",
        }  # fmt: skip
        self.assertEqual(self.operation("PutMetricAlarm", alarm), (200, {}))
        status, answer = self.operation("DescribeAlarms", {"AlarmNames": ["guard"]})
        (found,) = answer["MetricAlarms"]
        kinds = {name: type(found[name]) for name in ("Threshold", "Period", "StateUpdatedTimestamp")}
        self.assertEqual(status, 200)
        self.assertEqual(kinds, {"Threshold": float, "Period": int, "StateUpdatedTimestamp": datetime})
        self.assertEqual(found | alarm, found)
        self.assertEqual(self.captured()["operations"], ["PutMetricAlarm", "DescribeAlarms"])

    def test_statistics_of_what_was_put_come_back_with_their_moments(self):
        stamp = int(time.time()) // 60 * 60 - 120
        self.put(cbor2.dumps(call(Timestamp=cbor2.CBORTag(1, stamp), Values=[1.0, 5.0], Counts=[3.0, 1.0])))
        times = {name: cbor2.CBORTag(1, stamp + ahead) for name, ahead in (("StartTime", -60), ("EndTime", 60))}
        asked = {"Namespace": "Plimsoll", "MetricName": "Latency", "Period": 60, "Statistics": ["SampleCount", "Sum"]}
        _, answer = self.operation("GetMetricStatistics", asked | times)
        (point,) = answer["Datapoints"]
        self.assertEqual((point["SampleCount"], point["Sum"], point["Timestamp"].timestamp()), (4.0, 8.0, stamp))

    def operation(self, name, body):
        headers = {"Smithy-Protocol": "rpc-v2-cbor", "Authorization": SIGNED}
        reply = self.client.post(f"/service/{SERVICE}/operation/{name}", data=cbor2.dumps(body), headers=headers)
        return reply.status_code, cbor2.loads(reply.data)

    def test_any_operation_of_either_service_can_be_told_to_fail_or_what_to_answer(self):
        def ask(operation):
            headers = {"X-Amz-Target": f"AnyScaleFrontendService.{operation}", "Authorization": SIGNED}
            reply = self.client.post("/", data=b"{}", headers=headers)
            return reply.status_code, reply.get_json(force=True)

        self.client.post("/_fault", data=json.dumps({"mode": "denied", "operation": "PutScalingPolicy"}))
        status, answer = ask("PutScalingPolicy")
        self.assertEqual((status, answer["__type"].rpartition("#")[2]), (403, "AccessDeniedException"))
        self.assertEqual(ask("DescribeScalingActivities")[0], 400)
        canned = {"operation": "DescribeScalingActivities", "answer": {"ScalingActivities": []}}
        self.client.post("/_answer", data=json.dumps(canned))
        self.assertEqual(ask("DescribeScalingActivities"), (200, {"ScalingActivities": []}))

    def test_faults_are_what_was_asked_for_until_ok(self):
        body = cbor2.dumps(call(Value=1.0))
        for mode, status in {"500": 500, "throttle": 400, "denied": 403, "slow": 200, "ok": 200}.items():
            self.fault(mode)
            self.assertEqual(self.put(body).status_code, status, mode)
        self.assertEqual(self.captured()["faults"], 4)


if __name__ == "__main__":
    unittest.main()
