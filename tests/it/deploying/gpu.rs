//! The page's endpoint with GPUs, and the template told to make one.

use serde_json::{json, Value};

use super::{called, program, ran, read, TEMPLATE};
use crate::support::CloudWatch;

#[test]
fn the_template_makes_the_pages_gpu_endpoint_where_it_is_told() {
    let page = CloudWatch::start();
    let found = ran(&page, &program(&page));
    let made = |operation: &str, name: &str| {
        let calls = called(&found, operation);
        let is_gpus = |call: &&&Value| call[name] == "demo-gpu";
        (*calls.iter().find(is_gpus).expect("the page's")).clone()
    };
    let model = made("CreateModel", "ModelName");
    let variant =
        made("CreateEndpointConfig", "EndpointConfigName")["ProductionVariants"][0].clone();
    let image = model["PrimaryContainer"]["Image"].as_str().expect("a name");
    let (_, tag) = image.rsplit_once(':').expect("a tag");
    let device = &model["PrimaryContainer"]["Environment"]["PLIMSOLL_DEVICE"];
    let parameters = [
        ("ModelBucket", json!("plimsoll-123456789012-eu-west-1")),
        ("ImageTag", json!(tag)),
        ("InstanceType", variant["InstanceType"].clone()),
        ("InferenceAmi", variant["InferenceAmiVersion"].clone()),
        ("Device", device.clone()),
    ]
    .map(|(key, value)| json!({"ParameterKey": key, "ParameterValue": value}));
    let stack = CloudWatch::start();
    let create = json!({
        "StackName": "demo", "TemplateBody": read(TEMPLATE), "Capabilities": ["CAPABILITY_IAM"],
        "Parameters": parameters,
    });
    let stands = stack.calls(&[
        ("cloudformation", "create_stack", create),
        ("sagemaker", "list_models", json!({})),
        ("sagemaker", "list_endpoint_configs", json!({})),
    ]);
    let name = |at: usize, list: &str, of: &str| json!({of: stands[at][list][0][of]});
    let stands = stack.calls(&[
        (
            "sagemaker",
            "describe_model",
            name(1, "Models", "ModelName"),
        ),
        (
            "sagemaker",
            "describe_endpoint_config",
            name(2, "EndpointConfigs", "EndpointConfigName"),
        ),
    ]);
    assert_eq!(
        stands[0]["PrimaryContainer"]["Environment"],
        model["PrimaryContainer"]["Environment"]
    );
    assert_eq!(stands[0]["PrimaryContainer"]["Image"], image);
    for member in ["InstanceType", "InferenceAmiVersion"] {
        let own = &stands[1]["ProductionVariants"][0][member];
        assert_eq!(*own, variant[member], "{member}");
    }
}
