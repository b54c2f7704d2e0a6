//! Tests of the forms: the same policy in each, and what is no document.

use proptest::prelude::*;

use super::*;
use crate::policy::Rule;

fn read(text: &str) -> Documents {
    Documents::read(text).unwrap_or_else(|error| panic!("{error}"))
}

fn refused(text: &str) -> String {
    Documents::read(text).unwrap_err().to_string()
}

const CONFIGURATION: &str = r#"{
  "target": {"ServiceNamespace": "sagemaker", "ResourceId": "endpoint/e/variant/v",
    "ScalableDimension": "sagemaker:variant:DesiredInstanceCount", "MinCapacity": 2, "MaxCapacity": 10},
  "policies": [{"PolicyName": "load", "PolicyType": "TargetTrackingScaling",
    "TargetTrackingScalingPolicyConfiguration": {"TargetValue": 70,
      "PredefinedMetricSpecification": {"PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"}}},
   {"PolicyName": "guard", "PolicyType": "StepScaling", "StepScalingPolicyConfiguration": {
      "AdjustmentType": "ChangeInCapacity",
      "StepAdjustments": [{"MetricIntervalLowerBound": 0, "ScalingAdjustment": 2}]}}],
  "alarms": [{"AlarmName": "burst", "MetricName": "OfferedLoad", "Namespace": "Plimsoll",
    "Statistic": "Average", "Period": 10, "EvaluationPeriods": 3, "Threshold": 90,
    "ComparisonOperator": "GreaterThanThreshold", "AlarmActions": ["guard"]}],
  "scheduled_actions": [{"ScheduledActionName": "morning", "Schedule": "rate(1 day)",
    "ScalableTargetAction": {"MinCapacity": 5}}]
}"#;

const TEMPLATE: &str = r#"
Parameters:
  Target:
    Type: Number
    Default: 70
Resources:
  Scale:
    Type: AWS::ApplicationAutoScaling::ScalableTarget
    Properties:
      ServiceNamespace: sagemaker
      ResourceId: !Sub endpoint/${Endpoint.EndpointName}/variant/v
      ScalableDimension: sagemaker:variant:DesiredInstanceCount
      MinCapacity: "2"
      MaxCapacity: 10
      ScheduledActions:
        - ScheduledActionName: morning
          Schedule: rate(1 day)
          ScalableTargetAction: {MinCapacity: 5}
  Load:
    Type: AWS::ApplicationAutoScaling::ScalingPolicy
    Properties:
      PolicyName: load
      PolicyType: TargetTrackingScaling
      ScalingTargetId: !Ref Scale
      TargetTrackingScalingPolicyConfiguration:
        TargetValue: !Ref Target
        PredefinedMetricSpecification:
          PredefinedMetricType: SageMakerVariantInvocationsPerInstance
  Guard:
    Type: AWS::ApplicationAutoScaling::ScalingPolicy
    Properties:
      PolicyName: guard
      PolicyType: StepScaling
      ScalingTargetId: !Ref Scale
      StepScalingPolicyConfiguration:
        AdjustmentType: ChangeInCapacity
        StepAdjustments:
          - MetricIntervalLowerBound: 0
            ScalingAdjustment: 2
  Burst:
    Type: AWS::CloudWatch::Alarm
    Properties:
      MetricName: OfferedLoad
      Namespace: Plimsoll
      Statistic: Average
      Period: 10
      EvaluationPeriods: 3
      Threshold: 90
      ComparisonOperator: GreaterThanThreshold
      AlarmActions: [!Ref Guard]
  Other:
    Type: AWS::S3::Bucket
"#;

const PLAN: &str = r#"{
  "format_version": "1.2", "terraform_version": "1.9.0",
  "planned_values": {"root_module": {
    "resources": [
      {"address": "aws_appautoscaling_target.t", "type": "aws_appautoscaling_target", "values": {
        "service_namespace": "sagemaker", "resource_id": "endpoint/e/variant/v", "tags": null,
        "scalable_dimension": "sagemaker:variant:DesiredInstanceCount", "min_capacity": 2, "max_capacity": 10}},
      {"address": "aws_appautoscaling_policy.load", "type": "aws_appautoscaling_policy", "values": {
        "name": "load", "policy_type": "TargetTrackingScaling", "resource_id": "endpoint/e/variant/v",
        "step_scaling_policy_configuration": [],
        "target_tracking_scaling_policy_configuration": [{"target_value": 70, "disable_scale_in": false,
          "customized_metric_specification": [], "scale_in_cooldown": null,
          "predefined_metric_specification": [{"predefined_metric_type": "SageMakerVariantInvocationsPerInstance", "resource_label": null}]}]}}],
    "child_modules": [{"address": "module.burst[0]", "resources": [
      {"address": "module.burst[0].aws_appautoscaling_policy.guard", "type": "aws_appautoscaling_policy", "values": {
        "name": "guard", "policy_type": "StepScaling", "resource_id": "endpoint/e/variant/v",
        "step_scaling_policy_configuration": [{"adjustment_type": "ChangeInCapacity",
          "step_adjustment": [{"metric_interval_lower_bound": "0", "metric_interval_upper_bound": null, "scaling_adjustment": 2}]}]}},
      {"address": "module.burst[0].aws_cloudwatch_metric_alarm.burst", "type": "aws_cloudwatch_metric_alarm", "values": {
        "alarm_name": "burst", "metric_name": "OfferedLoad", "namespace": "Plimsoll", "statistic": "Average",
        "period": 10, "evaluation_periods": 3, "threshold": 90, "comparison_operator": "GreaterThanThreshold",
        "dimensions": {"EndpointName": "e", "VariantName": "v"}, "metric_query": []}},
      {"address": "module.burst[0].aws_appautoscaling_scheduled_action.morning", "type": "aws_appautoscaling_scheduled_action", "values": {
        "name": "morning", "schedule": "rate(1 day)", "scalable_target_action": [{"min_capacity": "5", "max_capacity": null}]}}]}]}},
  "configuration": {"root_module": {"module_calls": {"burst": {"module": {"resources": [
      {"address": "aws_cloudwatch_metric_alarm.burst", "expressions": {
        "alarm_actions": {"references": ["aws_appautoscaling_policy.guard.arn", "aws_appautoscaling_policy.guard"]}}}]}}}}}
}"#;

const DESCRIBED: &str = r#"[
 {"ScalableTargets": [{"ServiceNamespace": "sagemaker", "ResourceId": "endpoint/e/variant/v",
    "ScalableDimension": "sagemaker:variant:DesiredInstanceCount", "MinCapacity": 2, "MaxCapacity": 10,
    "RoleARN": "arn:aws:iam::1:role/r", "CreationTime": "2026-11-27T00:00:00Z",
    "SuspendedState": {"DynamicScalingInSuspended": false, "DynamicScalingOutSuspended": false, "ScheduledScalingSuspended": false}}]},
 {"ScalingPolicies": [
   {"PolicyARN": "arn:aws:autoscaling:eu-west-1:1:scalingPolicy:x:resource/sagemaker/endpoint/e/variant/v:policyName/load",
    "PolicyName": "load", "PolicyType": "TargetTrackingScaling", "CreationTime": 1, "Alarms": [],
    "TargetTrackingScalingPolicyConfiguration": {"TargetValue": 70.0,
      "PredefinedMetricSpecification": {"PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"}}},
   {"PolicyName": "guard", "PolicyType": "StepScaling", "StepScalingPolicyConfiguration": {
      "AdjustmentType": "ChangeInCapacity",
      "StepAdjustments": [{"MetricIntervalLowerBound": 0.0, "ScalingAdjustment": 2}]}}]},
 {"MetricAlarms": [{"AlarmName": "burst", "AlarmArn": "a", "MetricName": "OfferedLoad", "Namespace": "Plimsoll",
    "Statistic": "Average", "Period": 10, "EvaluationPeriods": 3, "Threshold": 90.0, "StateValue": "OK",
    "ComparisonOperator": "GreaterThanThreshold", "ActionsEnabled": true, "OKActions": [], "Dimensions": [],
    "AlarmActions": ["arn:aws:autoscaling:eu-west-1:1:scalingPolicy:x:resource/sagemaker/endpoint/e/variant/v:policyName/guard"]},
   {"AlarmName": "disk", "MetricName": "DiskUtilization", "Namespace": "/aws/sagemaker/Endpoints",
    "Statistic": "Maximum", "Period": 60, "EvaluationPeriods": 1, "Threshold": 90.0,
    "ComparisonOperator": "GreaterThanThreshold", "AlarmActions": ["arn:aws:sns:eu-west-1:1:people"]}],
  "CompositeAlarms": []},
 {"ScheduledActions": [{"ScheduledActionName": "morning", "Schedule": "rate(1 day)",
    "ScheduledActionARN": "a", "ScalableTargetAction": {"MinCapacity": 5}}]}
]"#;

#[test]
fn every_form_says_the_same() {
    for (form, text) in [
        (Form::Configuration, CONFIGURATION),
        (Form::CloudFormation, TEMPLATE),
        (Form::Terraform, PLAN),
        (Form::Api, DESCRIBED),
    ] {
        let documents = read(text);
        assert_eq!(documents.form, form);
        let configuration = documents
            .configuration()
            .unwrap_or_else(|error| panic!("{form:?}: {error}"));
        assert_eq!(configuration.target.min_capacity, 2, "{form:?}");
        assert_eq!(configuration.target.max_capacity, 10, "{form:?}");
        let [load, guard] = configuration.policies.as_slice() else {
            panic!("{form:?}: {:?}", configuration.policies);
        };
        let Ok(Rule::TargetTracking(tracking)) = load.rule() else {
            panic!("{form:?}: {load:?}");
        };
        assert_eq!(tracking.target_value, 70.0, "{form:?}");
        let Ok(Rule::Step(step)) = guard.rule() else {
            panic!("{form:?}: {guard:?}");
        };
        assert_eq!(step.step_adjustments[0].scaling_adjustment, 2, "{form:?}");
        let [alarm] = configuration.alarms.as_slice() else {
            panic!("{form:?}: {:?}", configuration.alarms);
        };
        assert_eq!(alarm.alarm_actions, ["guard"], "{form:?}");
        assert_eq!(
            (alarm.threshold, alarm.period),
            (90.0, Some(10)),
            "{form:?}"
        );
        let [morning] = configuration.scheduled_actions.as_slice() else {
            panic!("{form:?}: {:?}", configuration.scheduled_actions);
        };
        assert_eq!(
            morning.scalable_target_action.min_capacity,
            Some(5),
            "{form:?}"
        );
    }
}

#[test]
fn a_single_call_is_a_document() {
    let bare = read(
        r#"{"TargetValue": 50, "PredefinedMetricSpecification": {"PredefinedMetricType": "x"}}"#,
    );
    assert_eq!(bare.policies.len(), 1);
    let with_bounds = read(
        r#"{"TargetValue": 50, "PredefinedMetricSpecification": {}, "MinCapacity": 2, "MaxCapacity": 10}"#,
    );
    assert_eq!(
        (with_bounds.policies.len(), with_bounds.targets.len()),
        (1, 1)
    );
    let error = with_bounds.policies[0]
        .typed::<crate::policy::ScalingPolicy>()
        .unwrap_err();
    assert!(!error.to_string().contains("MinCapacity"), "{error}");
    let target = read(r#"{"MinCapacity": 2, "MaxCapacity": 10, "Cooldown": 3}"#);
    let error = target.targets[0]
        .typed::<ScalableTarget>()
        .unwrap_err()
        .to_string();
    assert!(error.contains("unknown field `Cooldown`"), "{error}");
    assert_eq!(
        read(r#"{"AdjustmentType": "ChangeInCapacity", "StepAdjustments": []}"#)
            .policies
            .len(),
        1
    );
    assert_eq!(read(r#"{"ScheduledActionName": "a"}"#).scheduled.len(), 1);
}

#[test]
fn lines_are_known() {
    let documents = read("Resources:\n  A:\n    Type: AWS::ApplicationAutoScaling::ScalingPolicy\n    Properties:\n      PolicyName: a\n      PolicyType: StepScaling\n");
    assert_eq!(documents.policies[0].node.get("PolicyType").line, 6);
    let documents = read("{\n  \"PolicyName\": \"a\",\n\t\"PolicyType\": \"StepScaling\"\n}");
    assert_eq!(documents.policies[0].node.get("PolicyType").line, 3);
    // A pair of surrogates is JSON's own.
    let documents = read(r#"{"PolicyName": "\ud83d\udea2", "PolicyType": "StepScaling"}"#);
    assert_eq!(
        documents.policies[0].node.get("PolicyName").as_text(),
        Some("🚢")
    );
}

#[test]
fn functions_are_worked_out_as_far_as_that_goes() {
    let template = |value: &str| {
        let text = format!("Parameters: {{Name: {{Default: e}}, Free: {{Type: String}}}}\nResources:\n  A:\n    Type: AWS::ApplicationAutoScaling::ScalableTarget\n    Properties:\n      ResourceId: {value}\n");
        read(&text).targets[0].node.get("ResourceId").clone()
    };
    for value in [
        "!Sub 'endpoint/${Name}/variant/v'",
        "!Join ['/', [endpoint, !Ref Name, variant, v]]",
        "{'Fn::Sub': ['endpoint/${X}/variant/v', {X: !Ref Name}]}",
        "!If [Large, 'endpoint/e/variant/v', 'endpoint/f/variant/v']",
    ] {
        assert_eq!(
            template(value).as_text(),
            Some("endpoint/e/variant/v"),
            "{value}"
        );
    }
    let free = template("!Sub 'endpoint/${Free}/variant/${Thing.Name}'");
    assert_eq!(
        free.as_pattern(),
        Some("endpoint/${Free}/variant/${Thing.Name}")
    );
    assert_eq!(free.refers_to(), ["Free", "Thing"]);
    assert!(!template("!Ref AWS::NoValue").is_some());
    for value in [
        "!ImportValue x",
        "!FindInMap [a, b, c]",
        "!GetAtt Thing.Name",
        "!Sub '${'",
        "!Join x",
        "!Sub [1]",
    ] {
        let node = template(value);
        assert!(
            node.as_text().is_none_or(|text| text == "${"),
            "{value}: {node:?}"
        );
    }
}

#[test]
fn what_is_no_document_is_told_from_what_would_be_one() {
    for (text, expected) in [
        ("", "is empty"),
        ("{", "is no JSON: EOF"),
        (
            "{\"a\": 1,}",
            "is no JSON: trailing comma at line 1 column 9",
        ),
        ("a: [1", "is no YAML"),
        ("a: b: c", "line 1"),
        ("just words", "a text; expected what put-scaling-policy"),
        ("[1]", "[0]: a number"),
        ("{\"color\": \"blue\"}", "a map of [\"color\"]"),
        ("a: &x 1\nb: *x", "line 2: an alias"),
        ("a: 1\na: 2", "\"a\" is used twice"),
        (
            "{\"PolicyName\": \"a\", \"PolicyName\": \"b\"}",
            "\"PolicyName\" is used twice",
        ),
        ("a: 1\n---\nb: 2", "a second document begins"),
        (
            "import boto3\nclient = boto3.client('x')\n",
            "is a Python program",
        ),
        ("#!/bin/sh\naws autoscaling", "shell script"),
        (
            "resource \"aws_appautoscaling_policy\" \"x\" {\n}",
            "Terraform's own language",
        ),
        (
            "Resources:\n  A:\n",
            "Resources.A: nothing; expected a resource",
        ),
        (
            "AWSTemplateFormatVersion: '2010-09-09'\n",
            "Resources: nothing",
        ),
        (
            "Resources:\n  A:\n    Type: AWS::ApplicationAutoScaling::ScalingPolicy\n",
            "the template may be cut off",
        ),
        (
            "{\"format_version\": \"1.0\", \"planned_values\": {}}",
            "planned_values.root_module: is missing",
        ),
        ("{\"policies\": 3}", "policies: a number; expected a list"),
    ] {
        let error = refused(text);
        assert!(error.contains(expected), "{text:?}: {error}");
    }
    let deep = "[".repeat(200) + &"]".repeat(200);
    assert!(refused(&deep).contains("document"), "{}", refused(&deep));
    let deep = "- ".repeat(200);
    assert!(
        refused(&deep).contains("more than 100 lists"),
        "{}",
        refused(&deep)
    );
    let large = format!("Resources:\n  A: {}", "x".repeat(10 << 20));
    assert!(refused(&large).contains("10.0 MB of YAML; expected 4 MB at most"));
}

#[test]
fn a_configuration_says_what_is_missing() {
    let error = |text: &str| read(text).configuration().unwrap_err().to_string();
    assert!(error(
        r#"{"TargetValue": 5, "PredefinedMetricSpecification": {"PredefinedMetricType": "x"}}"#
    )
    .contains("there is no scalable target"));
    assert!(error(
        r#"[{"MinCapacity": 1, "MaxCapacity": 2}, {"MinCapacity": 1, "MaxCapacity": 2}]"#
    )
    .contains("2 scalable targets"));
    assert!(
        error(r#"{"target": {"MinCapacity": 1, "MaxCapacity": 2}, "polices": []}"#)
            .contains("polices: is no field")
    );
    assert!(
        error(r#"{"target": {"MinCapacity": 1, "MaxCapacity": "many"}}"#)
            .contains("target.MaxCapacity: invalid type: string \"many\"")
    );
    assert!(
        error(r#"{"target": {"MinCapacity": 1, "MaxCapacity": 2}, "capacity": -1}"#)
            .contains("capacity: -1; expected a number of instances")
    );
}

proptest! {
    #[test]
    fn no_text_is_too_strange(text in ".{0,200}") {
        let _ = Documents::read(&text);
    }

    #[test]
    fn no_template_is_too_strange(
        words in proptest::collection::vec(
            prop_oneof![
                Just("Resources:"), Just("\n  "), Just("\n    "), Just("A:"), Just("Type: "), Just("- "),
                Just("AWS::ApplicationAutoScaling::ScalingPolicy"), Just("Properties: "), Just("{"), Just("}"),
                Just("["), Just("]"), Just("!Ref "), Just("!Sub "), Just("${A}"), Just("${"), Just("!Join "),
                Just("PolicyName: "), Just("planned_values: "), Just("resource: "), Just("\""), Just(": "),
                Just("target: "), Just("policies: "), Just("ScalableTargets: "), Just("1"), Just(", "), Just("\n"),
            ],
            0..40,
        )
    ) {
        if let Ok(mut documents) = Documents::read(&words.concat()) {
            let _ = crate::lint::lint(&documents, &crate::lint::Context::default());
            crate::mend::mend(&mut documents, &crate::lint::Context::default());
            let _ = documents.configuration();
        }
    }
}
