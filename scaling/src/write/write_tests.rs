//! Tests of wishes: which metric a name is, and what becomes of it in each form.

use super::*;
use crate::document::{Documents, Form};

fn intent() -> Intent {
    Intent {
        resource: Resource::Variant {
            endpoint: "demo".to_owned(),
            variant: "AllTraffic".to_owned(),
        },
        min: 2,
        max: 10,
        tracked: Some((Wanted::Metric("OfferedLoad".to_owned()), 60.0)),
        scale_out_cooldown: Some(60),
        scale_in_cooldown: Some(300),
        disable_scale_in: false,
        guard: Some(Guard {
            metric: "OfferedLoad".to_owned(),
            threshold: 90.0,
            period: 10,
            steps: vec![(0.0, 30), (40.0, 70), (80.0, 120)],
            cooldown: 120,
        }),
        wake_up: false,
        scheduled: Vec::new(),
        suspended: Default::default(),
        namespace: "Plimsoll".to_owned(),
        container: None,
    }
}

#[test]
fn every_form_is_read_back_as_the_same() {
    let configuration = intent().configuration().unwrap();
    for (output, form) in [
        (Output::Configuration, Form::Configuration),
        (Output::CloudFormation, Form::CloudFormation),
        (Output::Terraform, Form::Terraform),
    ] {
        let files = files(&configuration, output).unwrap();
        let documents = Documents::read(&files[0].text)
            .unwrap_or_else(|error| panic!("{error}\n{}", files[0].text));
        assert_eq!(documents.form, form);
        let again = documents
            .configuration()
            .unwrap_or_else(|error| panic!("{form:?}: {error}"));
        assert_eq!(again.target.max_capacity, 10);
        for (a, b) in again.policies.iter().zip(&configuration.policies) {
            assert_eq!(a.policy_name, b.policy_name, "{form:?}");
            assert_eq!(a.target_tracking, b.target_tracking, "{form:?}");
            assert_eq!(a.step_scaling, b.step_scaling, "{form:?}");
        }
        assert_eq!(again.alarms, configuration.alarms, "{form:?}");
    }
}

#[test]
fn each_output_names_its_files() {
    let configuration = intent().configuration().unwrap();
    let names = |output| -> Vec<String> {
        let files = files(&configuration, output).unwrap();
        files.into_iter().map(|file| file.name).collect()
    };
    assert_eq!(
        names(Output::AwsCli),
        [
            "apply.sh",
            "register-scalable-target.json",
            "put-scaling-policy-demo-AllTraffic-OfferedLoad.json",
            "put-scaling-policy-demo-AllTraffic-guard.json",
            "put-metric-alarm-demo-AllTraffic-guard.json",
            "container-permissions.json",
        ]
    );
    assert_eq!(
        names(Output::Boto3),
        ["apply.py", "container-permissions.json"]
    );
    // What is not published by the container needs no permission of it.
    let mut free = intent();
    free.tracked = Some((Wanted::Metric("InvocationsPerInstance".to_owned()), 1200.0));
    free.guard = None;
    let free = free.configuration().unwrap();
    let files = files(&free, Output::Terraform).unwrap();
    assert_eq!(files.len(), 1);
}

#[test]
fn a_name_is_the_metric_that_fits_the_target() {
    let policy = |intent: Intent| intent.configuration().unwrap().policies.remove(0);
    let tracked = |name: &str| Intent {
        tracked: Some((Wanted::Metric(name.to_owned()), 5.0)),
        guard: None,
        ..intent()
    };
    let predefined = |intent: Intent| {
        let tracking = policy(intent).target_tracking.unwrap();
        tracking
            .predefined
            .map(|predefined| predefined.predefined_metric_type)
    };
    assert_eq!(
        predefined(tracked("InvocationsPerInstance")).as_deref(),
        Some("SageMakerVariantInvocationsPerInstance")
    );
    let component = Intent {
        resource: Resource::Component {
            name: "c".to_owned(),
        },
        ..tracked("ConcurrentRequestsPerCopy")
    };
    assert_eq!(
        predefined(component).as_deref(),
        Some("SageMakerInferenceComponentConcurrentRequestsPerCopyHighResolution")
    );
    let customized = |intent: Intent| policy(intent).target_tracking.unwrap().customized.unwrap();
    let cpu = customized(tracked("/aws/sagemaker/Endpoints:CPUUtilization"));
    assert_eq!(cpu.namespace.as_deref(), Some("/aws/sagemaker/Endpoints"));
    assert_eq!(
        customized(tracked("CPUUtilization")).namespace.as_deref(),
        Some("Plimsoll")
    );
    let backlog = customized(tracked("ApproximateBacklogSizePerInstance"));
    assert_eq!(backlog.dimensions.len(), 1);
    let contained = Intent {
        container: Some("first".to_owned()),
        ..tracked("OfferedLoad")
    };
    assert_eq!(customized(contained).dimensions.len(), 3);
}

#[test]
fn wishes_that_cannot_be_are_refused() {
    let refused = |change: fn(&mut Intent)| {
        let mut intent = intent();
        change(&mut intent);
        intent.configuration().unwrap_err().to_string()
    };
    for (change, expected) in [
        (
            (|i| i.tracked = Some((Wanted::Metric("Load".to_owned()), 5.0))) as fn(&mut Intent),
            "metric: \"Load\" is unknown; expected one of ours (OfferedLoad",
        ),
        (
            |i| i.tracked = Some((Wanted::Metric("offeredload".to_owned()), 5.0)),
            "is published as \"OfferedLoad\"",
        ),
        (
            |i| {
                i.tracked = Some((
                    Wanted::Metric("SageMakerVariantUtilization".to_owned()),
                    50.0,
                ))
            },
            "is no predefined metric of SageMaker",
        ),
        (
            |i| i.tracked = Some((Wanted::Metric("InvocationsPerCopy".to_owned()), 50.0)),
            "published with InferenceComponentName",
        ),
        (|i| i.min = 20, "20 is more than MaxCapacity"),
        (
            |i| {
                i.resource = Resource::Component {
                    name: "a b".to_owned(),
                }
            },
            "\"a b\"; expected 1 to 63 letters",
        ),
        (|i| (i.tracked, i.guard) = (None, None), "nothing scales"),
        (
            |i| i.tracked = Some((Wanted::Metric("OfferedLoad".to_owned()), 0.0)),
            "0 cannot be tracked",
        ),
        (
            |i| i.guard.as_mut().unwrap().steps = vec![(40.0, 30), (0.0, 70)],
            "guard",
        ),
    ] {
        let error = refused(change);
        assert!(error.contains(expected), "{error}");
    }
}
