//! E. The content types besides JSON, in and out.

use serde_json::{json, Value};

use crate::support::bodies::{
    f32_bytes, last_f32s, npy, npy_of, npz, read_npz, read_recordio_labels, recordio, triton,
};
use crate::support::server::Reply;
use crate::support::Server;

const CSV: &str = "text/csv";
const LINES: &str = "application/jsonlines";
const NPY: &str = "application/x-npy";
const NPZ: &str = "application/x-npz";
const RECORDIO: &str = "application/x-recordio-protobuf";
const RAW: &str = "application/octet-stream";

fn is_csv(reply: &Reply, expected: &str) {
    assert_eq!((reply.status, reply.text().as_str()), (200, expected));
    assert_eq!(reply.header("content-type"), Some(CSV));
}

fn lines(reply: &Reply) -> Vec<Value> {
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(reply.header("content-type"), Some(LINES));
    let text = reply.text();
    let lines = text.lines().map(serde_json::from_str);
    lines.map(|line| line.expect("JSON")).collect()
}

#[test]
fn case_063_csv_rows_are_records() {
    let server = Server::on("sum4").ready();
    is_csv(
        &server.invoke_accepting(CSV, CSV, "1,2,3,4\n5,6,7,8"),
        "10\n26",
    );
}

#[test]
fn case_064_csv_may_end_with_a_newline() {
    let server = Server::on("sum4").ready();
    is_csv(
        &server.invoke_accepting(CSV, CSV, "1,2,3,4\n5,6,7,8\n"),
        "10\n26",
    );
    // Blank lines are no records.
    is_csv(
        &server.invoke_accepting(CSV, CSV, "1,2,3,4\n\n5,6,7,8\n\n"),
        "10\n26",
    );
}

#[test]
fn case_065_csv_lines_may_end_as_on_windows() {
    let server = Server::on("sum4").ready();
    for body in [
        "1,2,3,4\r\n5,6,7,8",
        "1,2,3,4\r\n5,6,7,8\r\n",
        "1,2,3,4\r5,6,7,8",
    ] {
        is_csv(&server.invoke_accepting(CSV, CSV, body), "10\n26");
    }
}

#[test]
fn case_066_csv_may_say_that_it_has_no_labels() {
    let server = Server::on("sum4").ready();
    is_csv(
        &server.invoke("text/csv; label_size=0", "1,2,3,4\n5,6,7,8"),
        "10\n26",
    );
}

#[test]
fn case_067_one_csv_line_is_one_record() {
    let server = Server::on("sum4").ready();
    is_csv(&server.invoke(CSV, "1,2,3,4"), "10");
    is_csv(&server.invoke(CSV, " 1, 2 ,3,\t4"), "10");
}

#[test]
fn case_068_an_empty_cell_is_nan() {
    let server = Server::on("sum4").ready();
    is_csv(&server.invoke(CSV, "1,,3,4"), "nan");
    let integers = Server::on("mix").ready();
    integers.invoke(CSV, "1,,3,4").refused(400);
}

#[test]
fn case_069_a_ragged_line_is_named() {
    let server = Server::on("sum4").ready();
    let error = server.invoke(CSV, "1,2,3,4\n5,6").refused(400);
    assert!(error.contains("line 2"), "{error}");
}

#[test]
fn case_070_text_where_numbers_belong_is_named() {
    let server = Server::on("sum4").ready();
    let error = server.invoke(CSV, "a,b,c,d\n1,2,3,4").refused(400);
    assert!(error.contains("line 1"), "{error}");
}

#[test]
fn case_071_csv_columns_fill_the_inputs_in_order() {
    let server = Server::on("mix").ready();
    is_csv(&server.invoke(CSV, "1,2,0.5,0.5"), "1.5,2.5,0.5,1.5");
}

#[test]
fn case_072_json_lines_of_any_form_are_answered_in_order() {
    let server = Server::on("sum4").ready();
    let body = "[1,2,3,4]\n{\"features\":[5,6,7,8]}\n";
    let replies = lines(&server.invoke(LINES, body));
    assert_eq!(replies, [json!([10.0]), json!([26.0])]);
    let body = "\n{\"x\":[1,2,3,4]}\r\n\n{\"data\":{\"features\":{\"values\":[5,6,7,8]}}}";
    let replies = lines(&server.invoke(LINES, body));
    assert_eq!(replies, [json!([10.0]), json!([26.0])]);
}

#[test]
fn case_073_json_may_be_answered_in_lines() {
    let server = Server::on("sum4").ready();
    let body = "{\"instances\":[[1,2,3,4],[5,6,7,8]]}";
    let replies = lines(&server.invoke_accepting("application/json", LINES, body));
    assert_eq!(replies, [json!([10.0]), json!([26.0])]);
    let mix = Server::on("mix").ready();
    let body = "{\"instances\":[{\"a\":[1,2],\"b\":[0.5,0.5]}]}";
    let replies = lines(&mix.invoke_accepting("application/json", LINES, body));
    assert_eq!(replies, [json!({"s": [1.5, 2.5], "d": [0.5, 1.5]})]);
}

#[test]
fn case_074_npy_is_answered_with_npy() {
    let server = Server::on("sum4").ready();
    let rows = npy("(2, 4)", &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]);
    let reply = server.invoke_accepting(NPY, NPY, rows);
    assert_eq!(reply.header("content-type"), Some(NPY), "{}", reply.text());
    assert_eq!(reply.body, npy("(2, 1)", &[10.0, 26.0]));
}

#[test]
fn case_075_npy_of_float64_is_converted_every_time() {
    let server = Server::on("sum4").ready();
    let doubles = [1.0_f64, 2.0, 3.0, 4.0].map(f64::to_le_bytes).concat();
    for _ in 0..2 {
        let reply = server.invoke(NPY, npy_of("<f8", "(1, 4)", &doubles));
        assert_eq!(reply.status, 200, "{}", reply.text());
        assert_eq!(reply.body, npy("(1, 1)", &[10.0]));
    }
    let documented = std::fs::read_to_string(crate::support::root().join("docs/content-types.md"));
    assert!(documented
        .unwrap()
        .contains("float64 to float32 by rounding"));
}

#[test]
fn case_076_npz_brings_several_inputs_by_name() {
    let server = Server::on("mix").ready();
    let whole = [1_i64, 2].map(i64::to_le_bytes).concat();
    let arrays = [
        ("b", npy("(1, 2)", &[0.5, 0.5])),
        ("a", npy_of("<i8", "(1, 2)", &whole)),
    ];
    for compressed in [false, true] {
        let reply = server.invoke_accepting(NPZ, "application/json", npz(&arrays, compressed));
        assert_eq!(reply.status, 200, "{}", reply.text());
        assert_eq!(reply.json(), json!({"s": [[1.5, 2.5]], "d": [[0.5, 1.5]]}));
    }
    // The outputs come back the same way.
    let reply = server.invoke(NPZ, npz(&arrays, false));
    assert_eq!(reply.header("content-type"), Some(NPZ), "{}", reply.text());
    let mut outputs = read_npz(&reply.body);
    outputs.sort();
    assert_eq!(
        outputs,
        [
            ("d".to_owned(), npy("(1, 2)", &[0.5, 1.5])),
            ("s".to_owned(), npy("(1, 2)", &[1.5, 2.5])),
        ]
    );
    let surplus = [&arrays[..], &[("zebra", npy("(1,)", &[1.0]))]].concat();
    let error = server.invoke(NPZ, npz(&surplus, false)).refused(400);
    assert!(error.contains("zebra"), "{error}");
    let error = server.invoke(NPZ, npz(&arrays[..1], false)).refused(400);
    assert!(error.contains('a'), "{error}");
}

#[test]
fn case_077_recordio_is_answered_with_labels() {
    let server = Server::on("sum4").ready();
    let rows = recordio(&[&[1.0, 2.0, 3.0, 4.0], &[5.0, 6.0, 7.0, 8.0]]);
    let reply = server.invoke_accepting(RECORDIO, CSV, &rows);
    is_csv(&reply, "10\n26");
    let reply = server.invoke_accepting(RECORDIO, RECORDIO, &rows);
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(reply.header("content-type"), Some(RECORDIO));
    let values: Vec<Vec<f32>> = read_recordio_labels(&reply.body)
        .into_iter()
        .map(|labels| {
            assert_eq!(labels.len(), 1, "{labels:?}");
            labels[0].1.clone()
        })
        .collect();
    assert_eq!(values, [[10.0], [26.0]]);
}

#[test]
fn case_078_recordio_with_a_wrong_magic_number_is_400() {
    let server = Server::on("sum4").ready();
    let mut rows = recordio(&[&[1.0, 2.0, 3.0, 4.0], &[5.0, 6.0, 7.0, 8.0]]);
    let second = rows.len() / 2;
    rows[second] ^= 1;
    let error = server.invoke(RECORDIO, &rows).refused(400);
    assert!(
        error.contains("record 2") && error.contains("0xced7230a"),
        "{error}"
    );
}

fn binary_request(extra: Value) -> (String, Vec<u8>) {
    let mut header = json!({"inputs": [{
        "name": "x", "shape": [1, 4], "datatype": "FP32",
        "parameters": {"binary_data_size": 16},
    }]});
    if let (Some(header), Value::Object(extra)) = (header.as_object_mut(), extra) {
        header.extend(extra);
    }
    triton(&header, &f32_bytes(&[1.0, 2.0, 3.0, 4.0]))
}

#[test]
fn case_079_tritons_binary_type_is_answered_in_kind() {
    let server = Server::on("sum4").ready();
    for wish in [
        json!({"parameters": {"binary_data_output": true}}),
        json!({"outputs": [{"name": "y", "parameters": {"binary_data": true}}]}),
    ] {
        let (content_type, body) = binary_request(wish);
        let reply = server.invoke(&content_type, body);
        assert_eq!(reply.status, 200, "{}", reply.text());
        let found = reply.header("content-type").expect("a type");
        let size = found
            .strip_prefix("application/vnd.sagemaker-triton.binary+json;json-header-size=")
            .unwrap_or_else(|| panic!("{found}"));
        let (header, data) = reply.body.split_at(size.parse().expect("a size"));
        let header: Value = serde_json::from_slice(header).expect("a header");
        assert_eq!(
            header["outputs"],
            json!([{
                "name": "y", "datatype": "FP32", "shape": [1, 1],
                "parameters": {"binary_data_size": 4},
            }])
        );
        assert_eq!(last_f32s(data, 1), [10.0]);
        assert_eq!(data.len(), 4);
    }
}

#[test]
fn case_080_tritons_binary_type_is_answered_in_json_unless_asked() {
    let server = Server::on("sum4").ready();
    let (content_type, body) = binary_request(json!({}));
    let reply = server.invoke(&content_type, body);
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(reply.header("content-type"), Some("application/json"));
    assert_eq!(
        reply.json()["outputs"],
        json!([{"name": "y", "datatype": "FP32", "shape": [1, 1], "data": [10.0]}])
    );
}

#[test]
fn case_081_plain_bytes_are_a_row() {
    let server = Server::on("sum4").ready();
    let row = f32_bytes(&[1.0, 2.0, 3.0, 4.0]);
    let reply = server.invoke(RAW, &row);
    assert_eq!(reply.header("content-type"), Some("application/json"));
    assert_eq!((reply.status, reply.text().as_str()), (200, "[[10.0]]"));
    let rows = [row.clone(), row].concat();
    is_csv(&server.invoke_accepting(RAW, CSV, rows), "10\n10");
}

#[test]
fn case_082_plain_bytes_must_be_whole_rows() {
    let server = Server::on("sum4").ready();
    for length in [15, 20] {
        let error = server.invoke(RAW, vec![0; length]).refused(400);
        assert!(error.contains(&length.to_string()), "{error}");
    }
}

#[test]
fn case_083_images_are_not_read() {
    let server = Server::on("sum4").ready();
    let error = server.invoke("image/jpeg", "x").refused(415);
    assert!(error.contains("image/jpeg"), "{error}");
}
