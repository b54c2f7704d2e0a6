//! Tests of what documents meant.

use super::*;

const GUIDE: &str = r#"{
  "target": {"ServiceNamespace": "sagemaker", "ResourceId": "endpoint/demo/variant/AllTraffic",
    "ScalableDimension": "sagemaker:variant:DesiredInstanceCount", "MinCapacity": 2, "MaxCapacity": 10},
  "policies": [{"PolicyName": "cpu", "PolicyType": "TargetTrackingScaling",
    "TargetTrackingScalingPolicyConfiguration": {"TargetValue": 50,
      "PredefinedMetricSpecification": {"PredefinedMetricType": "SageMakerVariantUtilization"},
      "ScaleInCooldown": 300, "ScaleOutCooldown": 60}}]
}"#;

fn mended(text: &str, context: Context) -> (Documents, Vec<Change>) {
    let mut documents = Documents::read(text).unwrap();
    let changes = mend(&mut documents, &context);
    (documents, changes)
}

fn tracking(documents: &Documents) -> &Node {
    documents.policies[0].node.get(TRACKING)
}

#[test]
fn the_guides_utilization_becomes_cpu() {
    let (documents, changes) = mended(GUIDE, Context::default());
    assert_eq!(changes.len(), 1, "{changes:?}");
    let metric = tracking(&documents).get("CustomizedMetricSpecification");
    assert_eq!(metric.get("MetricName").as_text(), Some("CPUUtilization"));
    assert_eq!(metric.get("Namespace").as_text(), Some("Plimsoll"));
    assert_eq!(metric.get("Dimensions").list().len(), 2);
    assert_eq!(
        tracking(&documents).get("TargetValue").as_number(),
        Some(50.0)
    );
    documents.configuration().unwrap().policies[0]
        .rule()
        .unwrap();
    // On a known machine SageMaker's own metric will do.
    let context = Context {
        vcpus: Some(8.0),
        ..Context::default()
    };
    let (documents, _) = mended(GUIDE, context);
    let metric = tracking(&documents).get("CustomizedMetricSpecification");
    assert_eq!(
        metric.get("Namespace").as_text(),
        Some("/aws/sagemaker/Endpoints")
    );
    assert_eq!(
        tracking(&documents).get("TargetValue").as_number(),
        Some(400.0)
    );
}

#[test]
fn what_has_one_way_out_is_taken() {
    let metric = r#"{"MetricName": "InvocationsPerInstance", "Namespace": "/aws/sagemaker/Endpoints",
        "Dimensions": [{"Name": "EndpointName", "Value": "demo"}], "Statistic": "Average",
        "Unit": "Count", "Period": 10}"#;
    let text = GUIDE.replace(
        r#""PredefinedMetricSpecification": {"PredefinedMetricType": "SageMakerVariantUtilization"}"#,
        &format!(r#""CustomizedMetricSpecification": {metric}"#),
    );
    let (documents, changes) = mended(&text, Context::default());
    let rules: Vec<&str> = changes.iter().map(|change| change.rule).collect();
    for rule in [
        "period-in-target-tracking",
        "wrong-namespace",
        "wrong-dimensions",
        "wrong-statistic",
        "wrong-unit",
    ] {
        assert!(rules.contains(&rule), "{rule}: {changes:?}");
    }
    let metric = tracking(&documents).get("CustomizedMetricSpecification");
    assert_eq!(metric.get("Namespace").as_text(), Some("AWS/SageMaker"));
    assert_eq!(metric.get("Statistic").as_text(), Some("Sum"));
    assert!(!metric.get("Period").is_some() && !metric.get("Unit").is_some());
    documents.configuration().unwrap().policies[0]
        .rule()
        .unwrap();
}

#[test]
fn choices_are_left_to_the_author() {
    let text = GUIDE.replace(
        "SageMakerVariantUtilization",
        "SageMakerVariantModelLatency",
    );
    let (documents, changes) = mended(&text, Context::default());
    assert_eq!(changes, []);
    assert!(tracking(&documents)
        .get("PredefinedMetricSpecification")
        .is_some());
}

#[test]
fn a_number_is_brought_to_its_scale_once() {
    let cpu = |target: f64| {
        GUIDE.replace(
            r#""TargetValue": 50,
      "PredefinedMetricSpecification": {"PredefinedMetricType": "SageMakerVariantUtilization"}"#,
            &format!(
                r#""TargetValue": {target}, "CustomizedMetricSpecification": {{
                "MetricName": "CPUUtilization", "Namespace": "/aws/sagemaker/Endpoints", "Statistic": "Average",
                "Dimensions": [{{"Name": "EndpointName", "Value": "demo"}}, {{"Name": "VariantName", "Value": "AllTraffic"}}]}}"#
            ),
        )
    };
    let two = Context {
        vcpus: Some(2.0),
        ..Context::default()
    };
    let target = |text: &str| {
        let (documents, changes) = mended(text, two);
        let target = tracking(&documents).get("TargetValue").as_number();
        (target, changes.len())
    };
    assert_eq!(target(&cpu(50.0)), (Some(100.0), 1));
    assert_eq!(target(&cpu(100.0)), (Some(100.0), 0), "50 % of two");
    assert_eq!(target(&cpu(0.5)), (Some(100.0), 2));
    assert_eq!(target(GUIDE), (Some(100.0), 1));
}

#[test]
fn an_alarm_is_mended_where_it_is_wrong() {
    let alarm = |inside: &str| {
        format!(
            r#"{{"AlarmName": "a", "EvaluationPeriods": 3, "Threshold": 90000, "ComparisonOperator": "GreaterThanThreshold",
                "AlarmActions": ["arn:aws:autoscaling:eu-west-1:1:scalingPolicy:x:policyName/guard"], {inside}}}"#
        )
    };
    let of = r#""MetricName": "CPUUtilization", "Namespace": "/aws/sagemaker/Endpoints",
        "Dimensions": [{"Name": "EndpointName", "Value": "e"}, {"Name": "VariantName", "Value": "v"}]"#;
    let (documents, _) = mended(
        &alarm(&format!(
            r#"{of}, "ExtendedStatistic": "p90", "Period": 60"#
        )),
        Context::default(),
    );
    let node = &documents.alarms[0].node;
    assert!(!node.get("ExtendedStatistic").is_some());
    assert_eq!(node.get("Statistic").as_text(), Some("Average"));
    let math = format!(
        r#""Metrics": [{{"Id": "m1", "MetricStat": {{"Metric": {{{of}}}, "Period": 10, "Stat": "Average"}}, "ReturnData": true}}]"#
    );
    let (documents, changes) = mended(&alarm(&math), Context::default());
    let node = &documents.alarms[0].node;
    assert!(!node.get("Period").is_some(), "{changes:?}");
    let query = &node.get("Metrics").list()[0];
    assert_eq!(query.at("MetricStat.Period").as_number(), Some(60.0));
}
