"""Tests of the judge of Terraform's JSON: it takes what Terraform takes, and names what it refuses."""

import copy
import json
import unittest

from check_terraform import load_schema, violations

TARGET = "${aws_appautoscaling_target.target"
OWN = {
    "service_namespace": TARGET + ".service_namespace}",
    "resource_id": TARGET + ".resource_id}",
    "scalable_dimension": TARGET + ".scalable_dimension}",
}
QUERIES = [
    {"id": "e1", "expression": "FILL(m1, 0)", "return_data": True},
    {"id": "m1", "metric": {"metric_name": "m", "namespace": "n", "period": 60, "stat": "Sum", "dimensions": {"a": "b"}}},
]
CONFIGURATION = {
    "//": "what the container needs",
    "resource": {
        "aws_appautoscaling_target": {
            "target": {
                "service_namespace": "sagemaker",
                "resource_id": "endpoint/shop/variant/AllTraffic",
                "scalable_dimension": "sagemaker:variant:DesiredInstanceCount",
                "min_capacity": 1,
                "max_capacity": "8",
                "suspended_state": {"scheduled_scaling_suspended": True},
            }
        },
        "aws_appautoscaling_policy": {
            "load": OWN
            | {
                "name": "load $${not.looked.up}",
                "policy_type": "TargetTrackingScaling",
                "target_tracking_scaling_policy_configuration": {
                    "target_value": 70.0,
                    "customized_metric_specification": {
                        "metric_name": "OfferedLoad",
                        "namespace": "Plimsoll",
                        "statistic": "Average",
                        "dimensions": [{"name": "EndpointName", "value": "shop"}],
                    },
                },
            },
            "guard": OWN
            | {
                "name": "guard",
                "policy_type": "StepScaling",
                "step_scaling_policy_configuration": {
                    "adjustment_type": "PercentChangeInCapacity",
                    "step_adjustment": [{"metric_interval_lower_bound": "0", "scaling_adjustment": 30}],
                },
            },
        },
        "aws_cloudwatch_metric_alarm": {
            "guard": {
                "alarm_name": "guard",
                "comparison_operator": "GreaterThanThreshold",
                "evaluation_periods": 3,
                "threshold": 100,
                "metric_name": "OfferedLoad",
                "namespace": "Plimsoll",
                "period": 10,
                "statistic": "Average",
                "dimensions": {"EndpointName": "shop"},
                "alarm_actions": ["${aws_appautoscaling_policy.guard.arn}"],
            }
        },
        "aws_appautoscaling_scheduled_action": {
            "morning": OWN
            | {
                "name": "morning",
                "schedule": "cron(0 8 ? * MON-FRI *)",
                "scalable_target_action": {"min_capacity": 4},
            }
        },
    },
}


def at(document, path):
    """What stands at a path, and the last name of it."""
    *names, last = path.split(".")
    for name in names:
        document = document[int(name) if name.isdigit() else name]
    return document, last


class Configurations(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.schema = load_schema()

    def judge(self, document):
        return violations(json.dumps(document), self.schema)

    def test_what_terraform_takes_is_taken(self):
        self.assertEqual(self.judge(CONFIGURATION), [])

    def test_an_alarm_takes_queries_in_place_of_a_metric(self):
        document = copy.deepcopy(CONFIGURATION)
        alarm = document["resource"]["aws_cloudwatch_metric_alarm"]["guard"]
        for name in ("metric_name", "namespace", "period", "statistic", "dimensions"):
            alarm.pop(name)
        alarm["metric_query"] = QUERIES
        self.assertEqual(self.judge(document), [])
        alarm["metric_name"] = "m"
        self.assertIn("metric_query beside ['metric_name']", " ".join(self.judge(document)))

    def test_every_broken_rule_is_named(self):
        policy = "resource.aws_appautoscaling_policy."
        target = "resource.aws_appautoscaling_target.target"
        alarm = "resource.aws_cloudwatch_metric_alarm.guard"
        tracking = policy + "load.target_tracking_scaling_policy_configuration"
        steps = policy + "guard.step_scaling_policy_configuration.step_adjustment"
        bound = steps + ".0.metric_interval_lower_bound"
        action = "resource.aws_appautoscaling_scheduled_action.morning.scalable_target_action"
        for words, path, value in [
            ("resources: is not expected", "resources", {}),
            ("//: is no text", "//", 1),
            ("no such type", "resource.aws_autoscaling_policy", {"a": {"name": "a"}}),
            ("'1st' is no identifier", policy + "1st", OWN | {"name": "a"}),
            ("is no map", target, []),
            ("min_capacity: is missing", target + ".min_capacity", None),
            ('"one" is no number', target + ".min_capacity", "one"),
            ("no such attribute or block", target + ".minimum", 1),
            ("arn: is computed", target + ".arn", "a"),
            ("2 blocks, expected 1", target + ".suspended_state", [{"scheduled_scaling_suspended": True}] * 2),
            ("is no bool", target + ".suspended_state", {"scheduled_scaling_suspended": "yes"}),
            ("predefined_metric_specification", tracking + ".predefined_metric_specification",
             {"predefined_metric_type": "SageMakerVariantInvocationsPerInstance"}),
            ("statistic0: there is no such", tracking + ".customized_metric_specification.statistic0", "a"),
            ("'0.0' is read back as '0'", bound, "0.0"),
            ("'1e2' is read back as '100'", bound, "1e2"),
            ('"high" is no number', bound, "high"),
            ("scaling_adjustment: is missing", steps, {"metric_interval_lower_bound": "0"}),
            ("is no set of string", alarm + ".alarm_actions", "a"),
            ("is no map of string", alarm + ".dimensions", [{"name": "EndpointName", "value": "shop"}]),
            ("is not declared", alarm + ".alarm_actions", ["${aws_appautoscaling_policy.other.arn}"]),
            ("does not have", alarm + ".alarm_actions", ["${aws_appautoscaling_policy.guard.ARN}"]),
            ("no reference", alarm + ".alarm_name", "a ${lower(b)}"),
            ("no reference", alarm + ".alarm_name", "a ${b"),
            ("no reference", alarm + ".alarm_name", "a %{if true}"),
            ("is no map with something in it", action, {}),
            ("aws_appautoscaling_target.target: refers to itself", target + ".resource_id",
             "${aws_cloudwatch_metric_alarm.guard.arn}"),
        ]:  # fmt: skip
            document = copy.deepcopy(CONFIGURATION)
            holder, last = at(document, path)
            holder[last] = value
            with self.subTest(words):
                self.assertIn(words, " | ".join(self.judge(document)))

    def test_what_is_no_json_is_named(self):
        self.assertIn("is no JSON", violations("resource {}", self.schema)[0])
        self.assertIn("['a'] twice", violations('{"a": 1, "a": 2}', self.schema)[0])


if __name__ == "__main__":
    unittest.main()
