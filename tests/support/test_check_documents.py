"""Tests of the judge of scaling documents: it takes what AWS takes, and names each rule that is broken."""

import copy
import json
import tempfile
import unittest
from pathlib import Path

from check_documents import folder_violations, statement_violations, violations

VARIANT = {
    "ServiceNamespace": "sagemaker",
    "ResourceId": "endpoint/shop-1/variant/AllTraffic",
    "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
}
DIMENSIONS = [{"Name": "EndpointName", "Value": "shop-1"}, {"Name": "VariantName", "Value": "AllTraffic"}]
TARGET = VARIANT | {"MinCapacity": 1, "MaxCapacity": 8}
SIMPLE = {"MetricName": "OfferedLoad", "Namespace": "Plimsoll", "Dimensions": DIMENSIONS, "Statistic": "Average"}
MATH = [
    {
        "Id": "m1",
        "MetricStat": {
            "Metric": {"MetricName": "OfferedLoad", "Namespace": "Plimsoll", "Dimensions": DIMENSIONS},
            "Stat": "p99",
        },
        "ReturnData": False,
    },
    {"Id": "e1", "Expression": "FILL(m1, 0)", "ReturnData": True},
]
STEPS = [
    {"MetricIntervalLowerBound": 0.0, "MetricIntervalUpperBound": 40.0, "ScalingAdjustment": 30},
    {"MetricIntervalLowerBound": 40.0, "ScalingAdjustment": 70},
]
ALARM = {
    "AlarmName": "shop-1-guard",
    "MetricName": "OfferedLoad",
    "Namespace": "Plimsoll",
    "Dimensions": DIMENSIONS,
    "Statistic": "Average",
    "Period": 10,
    "EvaluationPeriods": 3,
    "DatapointsToAlarm": 3,
    "Threshold": 100.0,
    "ComparisonOperator": "GreaterThanThreshold",
    "TreatMissingData": "notBreaching",
}
ACTION = VARIANT | {
    "ScheduledActionName": "morning",
    "Schedule": "cron(0 8 ? * MON-FRI *)",
    "Timezone": "Europe/Berlin",
    "ScalableTargetAction": {"MinCapacity": 4},
}
STATEMENT = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Sid": "PublishMetrics",
            "Effect": "Allow",
            "Action": "cloudwatch:PutMetricData",
            "Resource": "*",
            "Condition": {"StringEquals": {"cloudwatch:namespace": "Plimsoll"}},
        }
    ],
}


def tracking(**members):
    configuration = {"TargetValue": 70.0, "CustomizedMetricSpecification": SIMPLE} | members
    configuration = {name: value for name, value in configuration.items() if value is not None}
    return VARIANT | {
        "PolicyName": "load",
        "PolicyType": "TargetTrackingScaling",
        "TargetTrackingScalingPolicyConfiguration": configuration,
    }


def predefined(name):
    return tracking(CustomizedMetricSpecification=None, PredefinedMetricSpecification={"PredefinedMetricType": name})


def step(adjustments=STEPS, **members):
    configuration = {"AdjustmentType": "PercentChangeInCapacity", "MinAdjustmentMagnitude": 1, "Cooldown": 60}
    configuration |= {"StepAdjustments": adjustments} | members
    return VARIANT | {
        "PolicyName": "guard",
        "PolicyType": "StepScaling",
        "StepScalingPolicyConfiguration": configuration,
    }


def between(lower, upper):
    bounds = {"MetricIntervalLowerBound": lower, "MetricIntervalUpperBound": upper}
    return {name: bound for name, bound in bounds.items() if bound is not None} | {"ScalingAdjustment": 10}


def math(change):
    queries = copy.deepcopy(MATH)
    change(queries)
    return tracking(CustomizedMetricSpecification={"Metrics": queries})


def alarm(without=(), **members):
    return {name: value for name, value in (ALARM | members).items() if name not in without}


class Calls(unittest.TestCase):
    def judge(self, operation, call):
        service = "cloudwatch" if operation == "PutMetricAlarm" else "application-autoscaling"
        return list(violations(service, operation, call))

    def assert_broken(self, operation, broken):
        for words, call in broken.items():
            with self.subTest(words):
                self.assertIn(words, " | ".join(self.judge(operation, call)))

    def test_what_aws_takes_is_taken(self):
        component = {
            "ResourceId": "inference-component/model-a",
            "ScalableDimension": "sagemaker:inference-component:DesiredCopyCount",
        }
        metrics = [query | ({"MetricStat": MATH[0]["MetricStat"] | {"Period": 60}} if at == 0 else {})
                   for at, query in enumerate(MATH)]  # fmt: skip
        for operation, call in [
            ("RegisterScalableTarget", TARGET | {"SuspendedState": {"DynamicScalingInSuspended": True}}),
            ("RegisterScalableTarget", TARGET | component | {"MinCapacity": 0}),
            ("PutScalingPolicy", tracking(ScaleOutCooldown=0, ScaleInCooldown=300, DisableScaleIn=True)),
            ("PutScalingPolicy", tracking(CustomizedMetricSpecification={"Metrics": MATH})),
            ("PutScalingPolicy", predefined("SageMakerVariantInvocationsPerInstance")),
            ("PutScalingPolicy", step()),
            ("PutScalingPolicy", step([between(None, -10), between(-10, 0), between(0, None)])),
            ("PutMetricAlarm", ALARM),
            ("PutMetricAlarm", alarm(["Statistic"], ExtendedStatistic="tm99", Period=60, EvaluationPeriods=1440)),
            (
                "PutMetricAlarm",
                alarm(["MetricName", "Namespace", "Dimensions", "Statistic", "Period"], Metrics=metrics),
            ),
            ("PutScheduledAction", ACTION),
            ("PutScheduledAction", ACTION | {"Schedule": "at(2027-01-31T08:00:00)"}),
            ("PutScheduledAction", ACTION | {"Schedule": "cron(0/15 8-17 L 1,6 ? 2027-2030)"}),
        ]:
            self.assertEqual(self.judge(operation, call), [], call)

    def test_a_target_breaks_each_rule_by_itself(self):
        self.assert_broken(
            "RegisterScalableTarget",
            {
                "Unknown parameter": TARGET | {"Min": 1},
                "Missing required parameter": {"ServiceNamespace": "sagemaker"},
                "Invalid type for parameter MinCapacity": TARGET | {"MinCapacity": 1.5},
                "MinCapacity: is missing": {name: value for name, value in TARGET.items() if name != "MinCapacity"},
                "MinCapacity: 9 is above MaxCapacity, 8": TARGET | {"MinCapacity": 9},
                "MinCapacity: -1 is below zero": TARGET | {"MinCapacity": -1},
                "ServiceNamespace: 'ecs' is not sagemaker": TARGET | {"ServiceNamespace": "ecs"},
                "ScalableDimension: 'sagemaker:variant' is none of": TARGET | {"ScalableDimension": "sagemaker:variant"},
                "ResourceId: 'inference-component/a' has no": TARGET | {"ResourceId": "inference-component/a"},
                "ResourceId: 'endpoint//variant/a' has no": TARGET | {"ResourceId": "endpoint//variant/a"},
                "ResourceId: 1609 is more than 1600": TARGET | {"ResourceId": "endpoint/" + "a" * 1600},
            },
        )

    def test_a_target_tracking_policy_breaks_each_rule_by_itself(self):
        exclusive = "expected exactly one of Predefined"
        label = {"PredefinedMetricType": "SageMakerVariantInvocationsPerInstance", "ResourceLabel": "a"}
        dimension = {"Name": "EndpointName", "Value": "other"}
        self.assert_broken(
            "PutScalingPolicy",
            {
                "TargetValue: 0 is not a positive": tracking(TargetValue=0),
                "TargetValue: nan is not a positive": tracking(TargetValue=float("nan")),
                "ScaleInCooldown: -1 is below": tracking(ScaleInCooldown=-1),
                "'SageMakerVariantUtilization' is none of": predefined("SageMakerVariantUtilization"),
                "ALBRequestCountPerTarget is not of": predefined("ALBRequestCountPerTarget"),
                "InvocationsPerCopy is not of": predefined("SageMakerInferenceComponentInvocationsPerCopy"),
                exclusive: tracking(CustomizedMetricSpecification=None),
                "exactly one of PredefinedMetricSpecification and": tracking(PredefinedMetricSpecification=label),
                "ResourceLabel: SageMaker's": tracking(
                    CustomizedMetricSpecification=None, PredefinedMetricSpecification=label
                ),
                "'p99' is none of": tracking(CustomizedMetricSpecification=SIMPLE | {"Statistic": "p99"}),
                "Unknown parameter in": tracking(CustomizedMetricSpecification=SIMPLE | {"Period": 60}),
                "Metrics beside MetricName": tracking(CustomizedMetricSpecification=SIMPLE | {"Metrics": MATH}),
                "Namespace: is missing": tracking(
                    CustomizedMetricSpecification={"MetricName": "a", "Statistic": "Sum"}
                ),
                "EndpointName twice": tracking(
                    CustomizedMetricSpecification=SIMPLE | {"Dimensions": [*DIMENSIONS, dimension]}
                ),
                "PolicyType: 'StepScaling' with": tracking() | {"PolicyType": "StepScaling"},
                "PolicyType: None with": {
                    name: value for name, value in tracking().items() if name != "PolicyType"
                },
                "does not match": tracking() | {"PolicyName": "tab\t"},
                "PolicyName: 257 is more than 256": tracking() | {"PolicyName": "a" * 257},
            },
        )

    def test_metric_math_breaks_each_rule_by_itself(self):
        def everything_returns(queries):
            queries[0].pop("ReturnData")

        def no_id(queries):
            queries[0]["Id"] = "M1"

        def both_forms(queries):
            queries[1]["MetricStat"] = queries[0]["MetricStat"]

        self.assert_broken(
            "PutScalingPolicy",
            {
                "2 of them return data": math(everything_returns),
                "0 of them return data": math(lambda queries: queries[1].update(ReturnData=False)),
                "'M1' does not begin": math(no_id),
                "'m1' twice": math(lambda queries: queries.append(queries[0])),
                "expected exactly one of Expression": math(both_forms),
                "'m2' is no Id": math(lambda queries: queries[1].update(Expression="m1 + m2")),
                "'p101' is no statistic": math(lambda queries: queries[0]["MetricStat"].update(Stat="p101")),
                "Unknown parameter": math(lambda queries: queries[0]["MetricStat"].update(Period=60)),
                "11 metrics are more": math(
                    lambda queries: queries.extend({**queries[0], "Id": f"n{at}"} for at in range(10))
                ),
            },
        )

    def test_a_step_policy_breaks_each_rule_by_itself(self):
        self.assert_broken(
            "PutScalingPolicy",
            {
                "MinAdjustmentMagnitude: is for": step(AdjustmentType="ChangeInCapacity"),
                "'Percent' is none of": step(AdjustmentType="Percent"),
                "one ends at 40 and the next begins at 50": step([between(0, 40), between(50, None)]),
                "one ends at 40 and the next begins at 30": step([between(0, 40), between(30, None)]),
                "5 to 5 is no interval": step([between(5, 5)]),
                "a step without bounds": step([between(None, None)]),
                "begins at -5, below": step([between(-5, 0)]),
                "ends at 9, above": step([between(0, 9)]),
                "0 steps": step([]),
                "21 steps": step([between(at, at + 1) for at in range(20)] + [between(20, None)]),
                "Cooldown: -1": step(Cooldown=-1),
            },
        )

    def test_an_alarm_breaks_each_rule_by_itself(self):
        self.assert_broken(
            "PutMetricAlarm",
            {
                "Period: 15 is neither": alarm(Period=15),
                "Period: 90 is neither": alarm(Period=90),
                "is more than 86400 s": alarm(EvaluationPeriods=8641),
                "1441 × 60 s is more than 86400 s": alarm(Period=60, EvaluationPeriods=1441),
                "169 × 3600 s is more than 604800 s": alarm(Period=3600, EvaluationPeriods=169),
                "DatapointsToAlarm: 4 is more": alarm(DatapointsToAlarm=4),
                "Invalid value for parameter DatapointsToAlarm": alarm(DatapointsToAlarm=0),
                "expected exactly one of Statistic and": alarm(["Statistic"]),
                "exactly one of Statistic and ExtendedStatistic": alarm(ExtendedStatistic="p99"),
                "'p101' is no statistic": alarm(["Statistic"], ExtendedStatistic="p101"),
                "'Percents' is none of": alarm(Unit="Percents"),
                "Metrics: beside MetricName": alarm(Metrics=[{"Id": "e1", "Expression": "1"}]),
                "Threshold: is missing": alarm(["Threshold"]),
                "is for anomaly detection": alarm(ComparisonOperator="GreaterThanUpperThreshold"),
                "TreatMissingData: 'not' is none of": alarm(TreatMissingData="not"),
                "AlarmActions: 6 is more than 5": alarm(AlarmActions=["arn:aws:sns:eu-west-1:1:a"] * 6),
                "':a' does not match": alarm(Namespace=":a"),
                "Dimensions: 31 is more than 30": alarm(
                    Dimensions=[{"Name": f"d{at}", "Value": "v"} for at in range(31)]
                ),
            },
        )

    def test_a_scheduled_action_breaks_each_rule_by_itself(self):
        self.assert_broken(
            "PutScheduledAction",
            {
                "neither MinCapacity nor MaxCapacity": ACTION | {"ScalableTargetAction": {}},
                "MinCapacity: 4 is above": ACTION | {"ScalableTargetAction": {"MinCapacity": 4, "MaxCapacity": 3}},
                "'a/b' does not match": ACTION | {"ScheduledActionName": "a/b"},
                "' a' does not match": ACTION | {"ScheduledActionName": " a"},
                "'Europe/Atlantis' is not in": ACTION | {"Timezone": "Europe/Atlantis"},
                "beside a rate": ACTION | {"Schedule": "rate(5 minutes)"},
                "'every day' is neither": ACTION | {"Schedule": "every day"},
                "'at(2027-13-01T08:00:00)' is neither": ACTION | {"Schedule": "at(2027-13-01T08:00:00)"},
                "'rate(0 days)' is neither": ACTION | {"Schedule": "rate(0 days)"},
                "has 5 fields": ACTION | {"Schedule": "cron(0 8 * * ?)"},
                "'60' is no minute": ACTION | {"Schedule": "cron(60 8 * * ? *)"},
                "'24' is no hour": ACTION | {"Schedule": "cron(0 24 * * ? *)"},
                "'MO' is no day of week": ACTION | {"Schedule": "cron(0 8 ? * MO *)"},
                "needs ? for": ACTION | {"Schedule": "cron(0 8 * * * *)"},
            },
        )

    def test_a_statement_breaks_each_rule_by_itself(self):
        self.assertEqual(list(statement_violations(STATEMENT)), [])
        for words, name, value in [
            ("Action: 'cloudwatch:*'", "Action", "cloudwatch:*"),
            ("Effect: 'allow'", "Effect", "allow"),
            ("Resource: 'arn'", "Resource", "arn"),
            ("Condition: expected StringEquals", "Condition", {}),
            ("is no namespace of one's own", "Condition", {"StringEquals": {"cloudwatch:namespace": "AWS/SageMaker"}}),
            ("other than letters", "Sid", "a-b"),
            ("unknown elements ['Principal']", "Principal", "*"),
        ]:
            broken = copy.deepcopy(STATEMENT)
            broken["Statement"][0][name] = value
            with self.subTest(words):
                self.assertIn(words, " | ".join(statement_violations(broken)))
        self.assertIn("2008", " ".join(statement_violations(STATEMENT | {"Version": "2008-10-17"})))


class Folders(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        commands = ["#!/bin/sh"]
        for name, call in {
            "register-scalable-target": TARGET,
            "put-scaling-policy-load": tracking(),
            "put-scaling-policy-guard": step(),
            "put-metric-alarm-guard": ALARM,
            "put-scheduled-action-morning": ACTION,
        }.items():
            self.write(f"{name}.json", call)
            service = "cloudwatch" if "alarm" in name else "application-autoscaling"
            kind = "-".join(name.split("-")[:3])
            commands.append(f"x=$(aws {service} {kind} --cli-input-json file://{name}.json)")
        self.write("container-permissions.json", STATEMENT)
        (self.folder / "apply.sh").write_text("\n".join(commands))

    def write(self, name, document):
        (self.folder / name).write_text(json.dumps(document))

    def found(self):
        return "\n".join(folder_violations(self.folder))

    def test_a_whole_folder_is_judged_file_by_file(self):
        self.assertEqual(self.found(), "")
        self.write("put-scheduled-action-morning.json", ACTION | {"Schedule": "noon"})
        self.assertRegex(self.found(), "^put-scheduled-action-morning.json: Schedule: 'noon' is neither")

    def test_what_does_not_belong_together_is_found(self):
        other = {"ResourceId": "endpoint/other/variant/AllTraffic"}
        self.write("register-scalable-target.json", TARGET | other)
        self.write("put-scaling-policy-load.json", tracking() | {"PolicyName": "guard"})
        self.write("put-scaling-policy-new.json", tracking())
        self.write("surplus.json", {})
        self.write("put-metric-alarm-nan.json", float("nan"))
        found = self.found()
        for words in [
            "2 targets, expected one",
            "a PolicyName twice",
            "put-scaling-policy-new.json is in the commands or in the folder",
            "surplus.json: is not expected",
            "put-metric-alarm-nan.json: is no JSON: NaN",
        ]:
            self.assertIn(words, found)

    def test_a_folder_without_calls_is_wrong(self):
        with tempfile.TemporaryDirectory() as empty:
            self.assertIn("no calls", "\n".join(folder_violations(empty)))


if __name__ == "__main__":
    unittest.main()
