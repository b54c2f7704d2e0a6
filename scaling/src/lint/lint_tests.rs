//! Tests of what the rules say; that each finds its trap and nothing else is tested with the fixtures.

use super::*;

fn found(text: &str, context: Context) -> Vec<(&'static str, String)> {
    let documents = Documents::read(text).unwrap_or_else(|error| panic!("{error}"));
    let findings = lint(&documents, &context);
    findings
        .into_iter()
        .map(|one| (one.rule.id, one.message))
        .collect()
}

fn message(text: &str, rule: &str, context: Context) -> String {
    let all = found(text, context);
    let one = all.iter().find(|(id, _)| *id == rule);
    one.unwrap_or_else(|| panic!("{rule} not in {all:?}"))
        .1
        .clone()
}

fn tracking(metric: &str, namespace: &str, target: f64) -> String {
    format!(
        r#"{{"target": {{"MinCapacity": 2, "MaxCapacity": 20, "ResourceId": "endpoint/e/variant/v",
             "ScalableDimension": "sagemaker:variant:DesiredInstanceCount", "ServiceNamespace": "sagemaker"}},
           "policies": [{{"PolicyName": "p", "PolicyType": "TargetTrackingScaling",
             "TargetTrackingScalingPolicyConfiguration": {{"TargetValue": {target}, "ScaleOutCooldown": 60,
               "CustomizedMetricSpecification": {{"MetricName": "{metric}", "Namespace": "{namespace}",
                 "Dimensions": [{{"Name": "VariantName", "Value": "v"}}, {{"Name": "EndpointName", "Value": "e"}}],
                 "Statistic": "Average"}}}}}}]}}"#
    )
}

#[test]
fn ids_are_unique_and_every_rule_says_what_to_do() {
    for (at, one) in RULES.iter().enumerate() {
        assert!(
            RULES[..at].iter().all(|other| other.id != one.id),
            "{}",
            one.id
        );
        assert!(
            one.id.chars().all(|c| c.is_ascii_lowercase() || c == '-'),
            "{}",
            one.id
        );
        for text in [one.title, one.reason, one.fix] {
            assert!(text.len() > 10, "{}", one.id);
        }
        assert!(
            one.reason.ends_with('.') && one.fix.ends_with(['.', '`']),
            "{}",
            one.id
        );
        assert_eq!(rule(one.id), Some(*one));
    }
}

#[test]
fn a_bounded_metric_tells_its_rounds() {
    // 2 → 3 → 5 → 8 → 12 → 18 → 20 of × 1.43.
    let said = message(
        &tracking("CPUUtilization", "Plimsoll", 70.0),
        "bounded-metric",
        Context::default(),
    );
    assert!(said.contains("× 1.43"), "{said}");
    assert!(
        said.contains("from 2 to 20 that is 6 rounds, about 54 minutes"),
        "{said}"
    );
}

#[test]
fn the_machines_size_is_taken_from_its_name() {
    let text = tracking("CPUUtilization", "/aws/sagemaker/Endpoints", 50.0);
    let said = message(&text, "cpu-scale", Context::default());
    assert!(
        said.contains("on 8 of them 50 is 6.2 %") || said.contains("on 8 of them 50 is 6.3 %"),
        "{said}"
    );
    let context = Context {
        vcpus: Some(4.0),
        ..Context::default()
    };
    let said = message(&text, "cpu-scale", context);
    assert!(
        said.contains("goes to 400 here: 50 is 12.5 % of the machine; for 50 % expected 200"),
        "{said}"
    );
    for (instance, vcpus) in [
        ("ml.c6i.large", Some(2.0)),
        ("ml.m5.xlarge", Some(4.0)),
        ("ml.g5.2xlarge", Some(8.0)),
        ("ml.p4d.24xlarge", Some(96.0)),
        ("ml.c4.8xlarge", Some(36.0)),
        ("ml.x.metal", None),
        ("c5.large", None),
    ] {
        assert_eq!(view::vcpus(instance), vcpus, "{instance}");
    }
}

#[test]
fn what_only_the_deployment_knows_is_not_judged() {
    let template = r#"
Parameters: {Endpoint: {Type: String}, Value: {Type: Number}}
Resources:
  T:
    Type: AWS::ApplicationAutoScaling::ScalableTarget
    Properties:
      ServiceNamespace: sagemaker
      ScalableDimension: sagemaker:variant:DesiredInstanceCount
      ResourceId: !Sub endpoint/${Endpoint}/variant/v
      MinCapacity: 1
      MaxCapacity: !Ref Value
  P:
    Type: AWS::ApplicationAutoScaling::ScalingPolicy
    Properties:
      PolicyName: p
      PolicyType: TargetTrackingScaling
      ScalingTargetId: !Ref T
      TargetTrackingScalingPolicyConfiguration:
        TargetValue: !Ref Value
        CustomizedMetricSpecification:
          MetricName: OfferedLoad
          Namespace: !Sub "${Endpoint}-metrics"
          Statistic: Average
          Dimensions: [{Name: EndpointName, Value: !Ref Endpoint}, {Name: VariantName, Value: v}]
"#;
    assert_eq!(found(template, Context::default()), []);
}

#[test]
fn a_schedule_that_is_over_is_found_where_the_time_is_known() {
    let text = r#"{"target": {"MinCapacity": 1, "MaxCapacity": 2}, "scheduled_actions": [
        {"ScheduledActionName": "a", "Schedule": "at(2026-01-01T00:00:00)", "ScalableTargetAction": {"MaxCapacity": 3}}]}"#;
    assert_eq!(found(text, Context::default()), []);
    let context = Context {
        now: Some(1_800_000_000),
        ..Context::default()
    };
    let said = message(text, "invalid-schedule", context);
    assert!(said.contains("never comes again"), "{said}");
}

#[test]
fn findings_come_in_the_documents_order_with_lines() {
    let text = tracking("offeredload", "plimsoll", 60.0);
    let documents = Documents::read(&text).unwrap();
    let findings = lint(&documents, &Context::default());
    let unknown = findings
        .iter()
        .find(|one| one.rule.id == "unknown-metric")
        .unwrap();
    assert_eq!(unknown.line, 5);
    assert_eq!(
        unknown.path,
        "policies[0].TargetTrackingScalingPolicyConfiguration.CustomizedMetricSpecification.MetricName"
    );
    assert!(
        unknown.message.contains("is published as \"OfferedLoad\""),
        "{}",
        unknown.message
    );
    assert!(findings.is_sorted_by_key(|one| one.line));
}

#[test]
fn any_json_is_linted_without_a_panic() {
    // Every member of a good document is replaced by something else in turn.
    let good: serde_json::Value =
        serde_json::from_str(&tracking("OfferedLoad", "Plimsoll", 60.0)).unwrap();
    let mut paths = Vec::new();
    collect(&good, String::new(), &mut paths);
    for path in &paths {
        for other in [
            serde_json::json!(null),
            serde_json::json!(-1),
            serde_json::json!(1e300),
            serde_json::json!(""),
            serde_json::json!([]),
            serde_json::json!({}),
            serde_json::json!([[{"a": [null]}]]),
        ] {
            let mut changed = good.clone();
            *changed.pointer_mut(path).unwrap() = other;
            let text = changed.to_string();
            if let Ok(mut documents) = Documents::read(&text) {
                let _ = lint(&documents, &Context::default());
                crate::mend::mend(&mut documents, &Context::default());
                let _ = documents.configuration();
            }
        }
    }
    assert!(paths.len() > 20);
}

fn collect(value: &serde_json::Value, path: String, paths: &mut Vec<String>) {
    paths.push(path.clone());
    match value {
        serde_json::Value::Object(entries) => {
            for (name, value) in entries {
                collect(value, format!("{path}/{name}"), paths);
            }
        }
        serde_json::Value::Array(list) => {
            for (at, value) in list.iter().enumerate() {
                collect(value, format!("{path}/{at}"), paths);
            }
        }
        _ => {}
    }
}

#[test]
fn what_other_services_scale_is_nobodys_business() {
    let template = r#"
Resources:
  EcsTarget:
    Type: AWS::ApplicationAutoScaling::ScalableTarget
    Properties: {ServiceNamespace: ecs, ResourceId: service/c/s, ScalableDimension: "ecs:service:DesiredCount", MinCapacity: 5, MaxCapacity: 1}
  EcsPolicy:
    Type: AWS::ApplicationAutoScaling::ScalingPolicy
    Properties:
      PolicyName: ecs
      PolicyType: TargetTrackingScaling
      ScalingTargetId: !Ref EcsTarget
      TargetTrackingScalingPolicyConfiguration:
        PredefinedMetricSpecification: {PredefinedMetricType: ECSServiceAverageCPUUtilization}
        TargetValue: 50
  Anomaly:
    Type: AWS::CloudWatch::Alarm
    Properties:
      ComparisonOperator: LessThanLowerOrGreaterThanUpperThreshold
      EvaluationPeriods: 1
      Metrics: [{Id: m1, MetricStat: {Metric: {MetricName: CPUUtilization, Namespace: AWS/EC2}, Period: 300, Stat: Average}}]
      ThresholdMetricId: ad1
  Ec2:
    Type: AWS::CloudWatch::Alarm
    Properties: {MetricName: CPUUtilization, Namespace: AWS/EC2, Statistic: Average, Period: 300, EvaluationPeriods: 2, Threshold: 80, ComparisonOperator: GreaterThanThreshold, AlarmActions: [!Ref Topic]}
"#;
    assert_eq!(found(template, Context::default()), []);
    // A wrong name beside right ones is a mistake, and said.
    let text = r#"{"MinCapacity": 1, "MaxCapacity": 2, "ServiceNamespace": "ecs",
        "ResourceId": "endpoint/e/variant/v", "ScalableDimension": "sagemaker:variant:DesiredInstanceCount"}"#;
    let said = message(text, "resource-id", Context::default());
    assert!(said.contains("\"ecs\"; expected sagemaker"), "{said}");
}

fn ids(text: &str) -> Vec<&'static str> {
    let worth_a_look =
        |id: &&'static str| rule(id).is_some_and(|rule| rule.severity > Severity::Note);
    let all = found(text, Context::default()).into_iter();
    all.map(|(id, _)| id).filter(worth_a_look).collect()
}

fn alarm(inside: &str) -> String {
    format!(
        r#"{{"AlarmName": "a", "EvaluationPeriods": 2, "ComparisonOperator": "GreaterThanOrEqualToThreshold", {inside}}}"#
    )
}

const VARIANT: &str = r#""Dimensions": [{"Name": "EndpointName", "Value": "e"}, {"Name": "VariantName", "Value": "v"}]"#;

#[test]
fn alarms_that_are_right_are_left_alone() {
    for inside in [
        // Milliseconds by metric math; a number of samples; a stage that takes little.
        &format!(
            r#""Threshold": 150, "Metrics": [{{"Id": "m1", "ReturnData": false, "MetricStat": {{"Metric": {{"MetricName": "ModelLatency", "Namespace": "AWS/SageMaker", {VARIANT}}}, "Period": 60, "Stat": "p99"}}}}, {{"Id": "e1", "Expression": "m1/1000", "ReturnData": true}}]"#
        ),
        &format!(
            r#""Threshold": 100, "MetricName": "ModelLatency", "Namespace": "AWS/SageMaker", "Statistic": "SampleCount", "Period": 60, {VARIANT}"#
        ),
        &format!(
            r#""Threshold": 2000, "MetricName": "CodecLatency", "Namespace": "Plimsoll", "ExtendedStatistic": "p99", "Period": 60, {VARIANT}"#
        ),
        &format!(
            r#""Threshold": 90, "MetricName": "OfferedLoad", "Namespace": "Plimsoll", "ExtendedStatistic": "p90", "Period": 10, {VARIANT}"#
        ),
        // AWS's list grows.
        &format!(
            r#""Threshold": 1, "MetricName": "TimeInBacklog", "Namespace": "AWS/SageMaker", "Statistic": "Average", "Period": 60, {VARIANT}"#
        ),
        r#""Threshold": 1, "MetricName": "HasBacklogWithoutCapacity", "Namespace": "AWS/SageMaker", "Statistic": "Average", "Period": 60, "Dimensions": [{"Name": "EndpointName", "Value": "e"}]"#,
        r#""Threshold": 900, "MetricName": "Invocations", "Namespace": "AWS/SageMaker", "Statistic": "Sum", "Period": 60, "Dimensions": [{"Name": "EndpointName", "Value": "e"}, {"Name": "VariantName", "Value": "v"}, {"Name": "ContainerName", "Value": "c"}]"#,
    ] {
        assert_eq!(ids(&alarm(inside)), [""; 0], "{inside}");
    }
}

#[test]
fn a_state_of_terraforms_has_empty_texts_for_what_is_not_set() {
    let state = r#"{"format_version": "1.0", "values": {"root_module": {"resources": [
        {"address": "aws_appautoscaling_target.t", "type": "aws_appautoscaling_target", "values": {
          "service_namespace": "sagemaker", "resource_id": "endpoint/e/variant/v", "min_capacity": 2, "max_capacity": 10,
          "scalable_dimension": "sagemaker:variant:DesiredInstanceCount", "role_arn": "x", "id": "y"}},
        {"address": "aws_appautoscaling_policy.p", "type": "aws_appautoscaling_policy", "values": {
          "name": "guard", "policy_type": "StepScaling", "resource_id": "endpoint/e/variant/v", "arn": "arn:x:policyName/guard",
          "step_scaling_policy_configuration": [{"adjustment_type": "PercentChangeInCapacity", "min_adjustment_magnitude": 1,
            "metric_aggregation_type": "", "cooldown": 60,
            "step_adjustment": [{"metric_interval_lower_bound": "0", "metric_interval_upper_bound": "", "scaling_adjustment": 30}]}]}},
        {"address": "aws_cloudwatch_metric_alarm.a", "type": "aws_cloudwatch_metric_alarm", "values": {
          "alarm_name": "a", "metric_name": "OfferedLoad", "namespace": "Plimsoll", "statistic": "Average", "extended_statistic": "",
          "unit": "", "period": 10, "evaluation_periods": 3, "datapoints_to_alarm": 0, "threshold": 90, "alarm_description": "",
          "comparison_operator": "GreaterThanThreshold", "treat_missing_data": "notBreaching", "actions_enabled": true,
          "dimensions": {"EndpointName": "e", "VariantName": "v"}, "alarm_actions": ["arn:x:policyName/guard"]}}]}}}"#;
    assert_eq!(ids(state), [""; 0]);
}

#[test]
fn what_is_known_of_one_endpoint_is_not_said_of_another() {
    let text = format!(
        r#"{{"Resources": {{
          "A": {{"Type": "AWS::SageMaker::EndpointConfig", "Properties": {{"AsyncInferenceConfig": {{}},
             "ProductionVariants": [{{"VariantName": "v", "InstanceType": "ml.t2.medium"}}]}}}},
          "B": {{"Type": "AWS::SageMaker::EndpointConfig", "Properties": {{"MetricsConfig": {{"MetricPublishFrequencyInSeconds": 10}},
             "ProductionVariants": [{{"VariantName": "v", "InstanceType": "ml.c5.4xlarge"}}]}}}},
          "T": {{"Type": "AWS::ApplicationAutoScaling::ScalableTarget", "Properties": {{"ServiceNamespace": "sagemaker",
             "ResourceId": "endpoint/e/variant/v", "ScalableDimension": "sagemaker:variant:DesiredInstanceCount", "MinCapacity": 1, "MaxCapacity": 4}}}},
          "P": {{"Type": "AWS::ApplicationAutoScaling::ScalingPolicy", "Properties": {{"PolicyName": "p", "PolicyType": "TargetTrackingScaling",
             "ScalingTargetId": {{"Ref": "T"}}, "TargetTrackingScalingPolicyConfiguration": {{"TargetValue": 800,
               "CustomizedMetricSpecification": {{"MetricName": "CPUUtilization", "Namespace": "/aws/sagemaker/Endpoints", "Statistic": "Average", {VARIANT}}}}}}}}},
          "Alarm": {{"Type": "AWS::CloudWatch::Alarm", "Properties": {{"EvaluationPeriods": 2, "Threshold": 1200, "Period": 10,
             "ComparisonOperator": "GreaterThanThreshold", "MetricName": "CPUUtilization", "Namespace": "/aws/sagemaker/Endpoints", "Statistic": "Average", {VARIANT}}}}}
        }}}}"#
    );
    assert_eq!(ids(&text), [""; 0]);
}

#[test]
fn a_guard_is_no_wake_up_and_a_schedule_may_not_go_to_zero() {
    let component = r#"{"target": {"ServiceNamespace": "sagemaker", "ResourceId": "inference-component/c",
          "ScalableDimension": "sagemaker:inference-component:DesiredCopyCount", "MinCapacity": 0, "MaxCapacity": 4},
        "policies": [{"PolicyName": "guard", "PolicyType": "StepScaling", "StepScalingPolicyConfiguration": {
          "AdjustmentType": "PercentChangeInCapacity", "StepAdjustments": [{"MetricIntervalLowerBound": 0, "ScalingAdjustment": 30}]}}],
        "alarms": [{"AlarmName": "a", "MetricName": "OfferedLoad", "Namespace": "Plimsoll", "Statistic": "Average", "Period": 10,
          "EvaluationPeriods": 3, "Threshold": 90, "ComparisonOperator": "GreaterThanThreshold", "AlarmActions": ["guard"],
          "Dimensions": [{"Name": "InferenceComponentName", "Value": "c"}]}]}"#;
    assert_eq!(ids(component), ["no-wake-up"]);
    let night = tracking("OfferedLoad", "Plimsoll", 60.0).replacen(
        "\"policies\"",
        r#""scheduled_actions": [{"ScheduledActionName": "night", "Schedule": "rate(1 day)", "ScalableTargetAction": {"MinCapacity": 0}}], "policies""#,
        1,
    );
    assert_eq!(ids(&night), ["zero-minimum"]);
}

#[test]
fn one_metric_by_two_names_is_one() {
    let policy = |name: &str, metric: &str| {
        format!(
            r#"{{"PolicyName": "{name}", "PolicyType": "TargetTrackingScaling", "TargetTrackingScalingPolicyConfiguration": {{"TargetValue": 900, {metric}}}}}"#
        )
    };
    let text = format!(
        r#"{{"target": {{"MinCapacity": 1, "MaxCapacity": 4}}, "policies": [{}, {}]}}"#,
        policy(
            "a",
            r#""PredefinedMetricSpecification": {"PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"}"#
        ),
        policy(
            "b",
            &format!(
                r#""CustomizedMetricSpecification": {{"MetricName": "InvocationsPerInstance", "Namespace": "AWS/SageMaker", "Statistic": "Sum", {VARIANT}}}"#
            )
        ),
    );
    assert_eq!(ids(&text), ["same-metric-twice"]);
}

#[test]
fn huge_cooldowns_are_no_accident() {
    let text = tracking("CPUUtilization", "Plimsoll", 60.0)
        .replace("\"ScaleOutCooldown\": 60", "\"ScaleOutCooldown\": 1e30");
    let said = message(&text, "bounded-metric", Context::default());
    assert!(said.contains("rounds"), "{said}");
}
