//! Every kind of signature: element types, ranks, sequences, maps, and values that JSON lacks.
//! The fixtures are described in `tests/support/fixtures.py`.

use serde_json::{json, Value};

use crate::support::Server;

#[test]
fn every_element_type_comes_back_exactly() {
    let server = Server::on("echo").ready();
    let cases = [
        ("bool", "BOOL", json!([true, false])),
        ("i8", "INT8", json!([-128, 127])),
        ("i16", "INT16", json!([-32_768, 32_767])),
        ("i32", "INT32", json!([i32::MIN, i32::MAX])),
        ("i64", "INT64", json!([i64::MIN, i64::MAX])),
        ("u8", "UINT8", json!([0, 255])),
        ("u16", "UINT16", json!([0, 65_535])),
        ("u32", "UINT32", json!([0, u32::MAX])),
        ("u64", "UINT64", json!([0, u64::MAX])),
        ("f16", "FP16", json!([0.5, 65_504.0])),
        ("bf16", "BF16", json!([0.5, -2.5])),
        ("f32", "FP32", json!([0.1, -3.402_823_5e38])),
        ("f64", "FP64", json!([0.1, 1.797_693_134_862_315_7e308])),
        ("string", "BYTES", json!(["", "ü 🦀 \"quoted\"\n"])),
    ];
    let inputs: Vec<Value> = cases
        .iter()
        .map(|(name, datatype, data)| {
            json!({"name": name, "shape": [2], "datatype": datatype, "data": data})
        })
        .collect();
    let reply = server.ask(&json!({ "inputs": inputs }));
    for (name, datatype, data) in &cases {
        let expected = json!({
            "name": format!("{name}_out"), "datatype": datatype, "shape": [2], "data": data,
        });
        let found = reply["outputs"]
            .as_array()
            .and_then(|outputs| outputs.iter().find(|o| o["name"] == expected["name"]));
        assert_eq!(found, Some(&expected));
    }
}

#[test]
fn casts_to_every_type_are_written_in_their_own_form() {
    let server = Server::on("cast").ready();
    let reply = server.ask(&json!({"instances": [3.0]}));
    let row = &reply["predictions"][0];
    for integer in ["i8", "i16", "i32", "i64", "u8", "u16", "u32", "u64"] {
        assert_eq!(row[integer], json!(3), "{integer}");
    }
    assert_eq!(row["f64"], json!(3.0));
    assert_eq!(row["bool"], json!(true));
    assert_eq!(row["string"], json!("3"));
}

#[test]
fn scalars_keep_rank_zero() {
    let server = Server::on("scalar").ready();
    let scalar = |name| json!({"name": name, "shape": [], "datatype": "FP64", "data": [2.5]});
    let reply = server.ask(&json!({"inputs": [scalar("a"), scalar("b")]}));
    assert_eq!(
        reply["outputs"],
        json!([{"name": "product", "datatype": "FP64", "shape": [], "data": [6.25]}])
    );
    let plain = server.ask(&json!({"inputs": {"a": 2.0, "b": 3.0}}));
    assert_eq!(plain, json!({"outputs": 6.0}));
}

#[test]
fn empty_axes_go_in_and_come_out() {
    let server = Server::on("not").ready();
    let reply = server.ask(&json!({"inputs": [
        {"name": "flag", "shape": [0], "datatype": "BOOL", "data": []},
    ]}));
    assert_eq!(
        reply["outputs"],
        json!([{"name": "negated", "datatype": "BOOL", "shape": [0], "data": []}])
    );
}

#[test]
fn strings_of_any_text_but_nul_are_taken() {
    let server = Server::on("str").ready();
    let nul = server.invoke(
        "application/json",
        "{\"inputs\":{\"text\":[\"a\",\"b\\u0000c\"]}}",
    );
    let error = nul.refused(400);
    assert!(error.contains("text: string 1 holds a NUL"), "{error}");
    let joined = Server::on("concat").ready();
    let reply = joined.ask(&json!({"inputs": {"prefix": ["Hello, "], "text": ["世界 🦀", ""]}}));
    assert_eq!(reply, json!({"outputs": ["Hello, 世界 🦀", "Hello, "]}));
}

#[test]
fn nan_and_infinities_stay_strict_json() {
    let server = Server::on("div").ready();
    let request = json!({"inputs": {"a": [0, 1, -1], "b": [0, 0, 0]}});
    let reply = server.ask(&request);
    assert_eq!(reply, json!({"outputs": [null, "Infinity", "-Infinity"]}));
    let csv = server.invoke_accepting("application/json", "text/csv", request.to_string());
    assert_eq!(csv.text(), "nan\ninf\n-inf");
    let half = Server::on("add_f16").ready();
    let reply = half.ask(&json!({"inputs": {"a": [65504], "b": [65504]}}));
    assert_eq!(reply, json!({"outputs": ["Infinity"]}));
}

#[test]
fn a_model_without_inputs_answers_an_empty_body() {
    let server = Server::on("no_input").ready();
    let reply = server.invoke("application/json", "");
    assert_eq!((reply.status, reply.text().as_str()), (200, "[42]"));
}

#[test]
fn a_port_without_a_rank_takes_any() {
    let server = Server::on("rank").ready();
    assert!(
        server.log().contains("x float32 of any shape"),
        "{}",
        server.log()
    );
    for (data, shape) in [
        (json!([1.0, 2.0]), json!([2])),
        (json!([[[1.0], [2.0]]]), json!([1, 2, 1])),
    ] {
        let reply = server.ask(&json!({"inputs": {"x": data}}));
        assert_eq!(reply["outputs"]["shape"], shape, "{reply}");
    }
}

#[test]
fn bfloat16_goes_through() {
    let server = Server::on("bf16").ready();
    let reply = server.ask(&json!({"inputs": {"wide": [1.0, -2.5], "back": [0.5, 4.0]}}));
    assert_eq!(
        reply,
        json!({"outputs": {"narrow": [1.0, -2.5], "forth": [0.5, 4.0]}})
    );
}

#[test]
fn sequences_of_tensors_are_arrays() {
    let server = Server::on("sequence").ready();
    let reply = server.ask(&json!({"inputs": {"x": [[1, 2], [3, 4], [5, 6]]}}));
    assert_eq!(
        reply,
        json!({"outputs": [[[1.0, 2.0], [3.0, 4.0]], [[5.0, 6.0]]]})
    );
}

#[test]
fn optional_outputs_are_said_to_be_what_they_are() {
    let server = Server::on("optional").ready();
    assert!(
        server.log().contains("maybe optional(float32"),
        "{}",
        server.log()
    );
    let reply = server.ask(&json!({"inputs": {"x": [1.0]}}));
    assert_eq!(reply, json!({"outputs": [1.0]}));
}

#[test]
fn zip_maps_are_objects_by_class() {
    let server = Server::on("zipmap").ready();
    let log = server.log();
    assert!(log.contains("scores seq(map(string,float32))"), "{log}");
    let reply = server.ask(&json!({"instances": [[9, 9, 0, 0], [0, 0, 9, 9]]}));
    let predictions = reply["predictions"].as_array().expect("predictions");
    for (prediction, winner) in predictions.iter().zip(["front", "back"]) {
        assert_eq!(prediction["label"], winner, "{reply}");
        let score = prediction["scores"][winner].as_f64().expect("a score");
        assert!((0.99..=1.0).contains(&score), "{reply}");
    }
    assert_eq!(predictions.len(), 2);
}

#[test]
fn a_fixed_batch_is_recognised_and_said() {
    let server = Server::on("iris").ready();
    assert!(
        server
            .log()
            .contains("every request brings exactly 3 record(s)"),
        "{}",
        server.log()
    );
    let error = server
        .invoke("application/json", "{\"instances\":[[5.1,3.5]]}")
        .refused(400);
    assert!(error.contains("exactly 3 records"), "{error}");
    let reply = server.ask(&json!({"instances": [[5.1, 3.5], [6.0, 3.0], [7.0, 3.1]]}));
    let predictions = reply["predictions"].as_array().expect("predictions");
    assert_eq!(predictions.len(), 3, "{reply}");
    for prediction in predictions {
        let label = prediction["label"].as_i64().expect("a label");
        let best = prediction["probabilities"]
            .as_object()
            .and_then(|map| {
                map.iter()
                    .max_by(|a, b| a.1.as_f64().partial_cmp(&b.1.as_f64()).unwrap())
            })
            .map(|(class, _)| class.clone());
        assert_eq!(best, Some(label.to_string()), "{reply}");
    }
}

#[test]
fn an_initializer_that_may_be_overridden_need_not_be_sent() {
    let server = Server::on("overridable").ready();
    assert_eq!(
        server.ask(&json!({"inputs": {"x": [3.0]}})),
        json!({"outputs": [7.0]})
    );
}

#[test]
fn free_text_port_names_work() {
    let server = Server::on("odd_names").ready();
    let reply = server.ask(&json!({"inputs": {"x.1": [3.0], "onnx::Flatten_0": [1.0]}}));
    assert_eq!(
        reply,
        json!({"outputs": {"4195": [4.0], "{\"1\": \"one\"}": [2.0]}})
    );
}

#[test]
fn an_output_that_is_an_input_comes_back_as_it_was_sent() {
    let server = Server::on("through").ready();
    for start in [0, 10_000] {
        let sent: Vec<f64> = (start..start + 6_000).map(f64::from).collect();
        let negative: Vec<f64> = sent.iter().map(|number| -number).collect();
        assert_eq!(
            server.ask(&json!({"inputs": sent})),
            json!({"outputs": {"y": negative, "x": sent}})
        );
    }
}

#[test]
fn external_data_is_found_beside_the_model() {
    let server = Server::on("external").ready();
    assert_eq!(server.ask(&json!([1.0])), json!([1025.0]));
}

#[test]
fn a_reply_far_larger_than_the_request_is_written_whole() {
    let server = Server::on("expand").ready();
    let reply = server.invoke_accepting("application/json", "application/x-npy", "[2.0]");
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(reply.body.len(), 128 + 8_000_000);
}
