//! D. The dialects of `application/json`, each answered in kind.

use serde_json::{json, Value};

use crate::support::Server;

fn v2(datatype: &str, shape: Value, data: Value) -> Value {
    json!({"id": "q1", "inputs": [
        {"name": "x", "shape": shape, "datatype": datatype, "data": data},
    ]})
}

fn refused(server: &Server, body: &Value) -> String {
    let reply = server.invoke("application/json", body.to_string());
    reply.refused(400)
}

#[test]
fn case_048_instances_get_predictions() {
    let server = Server::on("sum4").ready();
    assert_eq!(
        server.ask(&json!({"instances": [[1, 2, 3, 4], [5, 6, 7, 8]]})),
        json!({"predictions": [[10.0], [26.0]]})
    );
    // As TensorFlow Serving's clients send it.
    assert_eq!(
        server.ask(&json!({"signature_name": "serving_default", "instances": [[1, 2, 3, 4]]})),
        json!({"predictions": [[10.0]]})
    );
}

#[test]
fn case_049_several_inputs_and_outputs_are_objects_by_name() {
    let server = Server::on("mix").ready();
    assert_eq!(
        server.ask(&json!({"instances": [{"a": [1, 2], "b": [0.5, 0.5]}]})),
        json!({"predictions": [{"s": [1.5, 2.5], "d": [0.5, 1.5]}]})
    );
}

#[test]
fn case_050_features_are_a_row() {
    let server = Server::on("sum4").ready();
    let reply = server.ask(&json!({"instances": [{"features": [1, 2, 3, 4]}]}));
    assert_eq!(reply, json!({"predictions": [[10.0]]}));
}

#[test]
fn case_051_features_may_be_wrapped_as_the_built_in_algorithms_do() {
    let server = Server::on("sum4").ready();
    let row = json!({"data": {"features": {"values": [1, 2, 3, 4]}}});
    let reply = server.ask(&json!({ "instances": [row] }));
    assert_eq!(reply, json!({"predictions": [[10.0]]}));
}

#[test]
fn case_052_inputs_get_outputs() {
    let server = Server::on("sum4").ready();
    for inputs in [json!({"x": [[1, 2, 3, 4]]}), json!([[1, 2, 3, 4]])] {
        let reply = server.ask(&json!({ "inputs": inputs }));
        assert_eq!(reply, json!({"outputs": [[10.0]]}));
    }
}

#[test]
fn case_053_v2_gets_v2_with_its_id() {
    let server = Server::on("sum4").ready();
    let reply = server.ask(&v2("FP32", json!([1, 4]), json!([1, 2, 3, 4])));
    assert_eq!(reply["id"], "q1");
    assert!(reply["model_name"].is_string(), "{reply}");
    assert_eq!(
        reply["outputs"],
        json!([{"name": "y", "datatype": "FP32", "shape": [1, 1], "data": [10.0]}])
    );
}

#[test]
fn case_054_v2_data_may_be_nested() {
    let server = Server::on("sum4").ready();
    let flat = server.ask(&v2("FP32", json!([1, 4]), json!([1, 2, 3, 4])));
    let nested = server.ask(&v2("FP32", json!([1, 4]), json!([[1, 2, 3, 4]])));
    assert_eq!(flat, nested);
}

#[test]
fn case_055_v2_answers_the_outputs_asked_for() {
    let server = Server::on("mix").ready();
    let reply = server.ask(&json!({
        "inputs": [
            {"name": "a", "shape": [1, 2], "datatype": "INT64", "data": [1, 2]},
            {"name": "b", "shape": [1, 2], "datatype": "FP32", "data": [0.5, 0.5]},
        ],
        "outputs": [{"name": "d"}],
    }));
    assert_eq!(
        reply["outputs"],
        json!([{"name": "d", "datatype": "FP32", "shape": [1, 2], "data": [0.5, 1.5]}])
    );
}

#[test]
fn case_056_v2_data_must_fill_its_shape() {
    let server = Server::on("sum4").ready();
    for data in [json!([1, 2, 3]), json!([1, 2, 3, 4, 5])] {
        let error = refused(&server, &v2("FP32", json!([1, 4]), data.clone()));
        let found = data.as_array().unwrap().len().to_string();
        assert!(error.contains('x') && error.contains(&found), "{error}");
    }
}

#[test]
fn case_057_v2_inputs_must_be_the_models() {
    let server = Server::on("mix").ready();
    let a = json!({"name": "a", "shape": [1, 2], "datatype": "INT64", "data": [1, 2]});
    let unknown = json!({"name": "zebra", "shape": [1, 2], "datatype": "FP32", "data": [1, 2]});
    let error = refused(&server, &json!({"inputs": [a, unknown]}));
    assert!(error.contains("zebra"), "{error}");
    let error = refused(&server, &json!({ "inputs": [a] }));
    assert!(error.contains('b'), "{error}");
    let error = refused(
        &server,
        &json!({"inputs": {"a": [[1, 2]], "zebra": [[1, 2]]}}),
    );
    assert!(error.contains("zebra"), "{error}");
}

#[test]
fn case_058_v2_types_must_be_the_models() {
    let server = Server::on("sum4").ready();
    let error = refused(&server, &v2("INT64", json!([1, 4]), json!([1, 2, 3, 4])));
    assert!(error.contains("INT64") && error.contains("FP32"), "{error}");
}

#[test]
fn case_059_an_integer_takes_no_fraction_and_nothing_out_of_range() {
    let server = Server::on("mix").ready();
    for (a, named) in [
        (json!([1.5, 2]), "1.5"),
        (json!(["1", 2]), "string"),
        (json!([9_223_372_036_854_775_808_u64, 2]), "int64"),
    ] {
        let error = refused(&server, &json!({"instances": [{"a": a, "b": [0, 0]}]}));
        assert!(error.contains(named) || error.contains("int64"), "{error}");
    }
    let whole = server.ask(&json!({"instances": [{"a": [1.0, 2], "b": [0, 0]}]}));
    assert_eq!(
        whole,
        json!({"predictions": [{"s": [1.0, 2.0], "d": [1.0, 2.0]}]})
    );
}

#[test]
fn case_060_no_instances_are_400_every_time() {
    let server = Server::on("sum4").ready();
    for _ in 0..3 {
        let error = refused(&server, &json!({"instances": []}));
        assert!(error.contains("no records"), "{error}");
    }
    let documented = std::fs::read_to_string(crate::support::root().join("docs/content-types.md"));
    assert!(documented.unwrap().contains("`{\"instances\": []}` is 400"));
}

#[test]
fn case_061_any_other_object_is_told_the_accepted_forms() {
    let server = Server::on("sum4").ready();
    let error = refused(&server, &json!({"foo": 1}));
    assert!(
        error.contains("instances") && error.contains("inputs"),
        "{error}"
    );
}

#[test]
fn case_062_strings_come_back_as_they_went_in() {
    let server = Server::on("str").ready();
    let reply = server.ask(&json!({"inputs": [
        {"name": "text", "shape": [2], "datatype": "BYTES", "data": ["a", "ü"]},
    ]}));
    assert_eq!(
        reply["outputs"],
        json!([{"name": "same", "datatype": "BYTES", "shape": [2], "data": ["a", "ü"]}])
    );
}
