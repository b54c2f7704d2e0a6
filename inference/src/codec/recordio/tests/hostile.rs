//! Records that lie, swell or break off.

use proptest::prelude::*;

use super::*;
use crate::codec::tests::{mix, sum4};

const LIMIT: &str = "more than the limit of 1048576 bytes (PLIMSOLL_MAX_UNPACKED_MB sets it)";

#[test]
fn frames_are_read_strictly() {
    let good = body(&[
        &[("values", floats32(&[1.; 4], &[], &[]))],
        &[("values", floats32(&[2.; 4], &[], &[]))],
    ]);
    let half = good.len() / 2;
    let patched = |at: usize, bytes: &[u8]| {
        let mut wrong = good.clone();
        wrong[at..at + bytes.len()].copy_from_slice(bytes);
        refusal(&wrong, &sum4())
    };
    let prefix = "body is no recordio: ";
    assert_eq!(
        patched(0, b"abcd"),
        format!("{prefix}record 1 at byte 0 begins with 0x64636261 where 0xced7230a is expected")
    );
    assert_eq!(
        patched(half, &[0; 4]),
        format!(
            "{prefix}record 2 at byte {half} begins with 0x00000000 where 0xced7230a is expected"
        )
    );
    for flag in [0x20, 0x40, 0x60, 0x80] {
        assert_eq!(
            patched(7, &[flag]),
            format!("{prefix}record 1 at byte 0 is one part of several, which are not joined here")
        );
    }
    assert_eq!(
        patched(4, &[0xff, 0xff, 0xff, 0x1f]),
        format!(
            "{prefix}record 1 at byte 0 is cut off: it says 536870911 bytes, {} follow",
            good.len() - 8
        )
    );
    assert_eq!(
        refusal(&good[..half + 3], &sum4()),
        format!("{prefix}record 2 at byte {half} is cut off")
    );
    assert_eq!(
        refusal(b"PK", &sum4()),
        format!("{prefix}record 1 at byte 0 is cut off")
    );
}

#[test]
fn payloads_that_are_no_such_message_are_refused() {
    let payload = |bytes: &[u8]| {
        let mut out = Vec::new();
        frame::put(&mut out, bytes).unwrap();
        refusal(&out, &sum4())
    };
    let broken = "record 1: its payload is no protobuf message of that kind";
    assert_eq!(payload(&[0xff]), broken);
    assert_eq!(payload(&[0x0a, 0x7f]), broken);
    // Three bytes are no float, and a number is no list of doubles.
    assert_eq!(
        refusal(&single(value(FLOAT32, &[0; 3], &[], &[])), &sum4()),
        broken
    );
    assert_eq!(
        refusal(&single(value(INT32, &[0x80], &[], &[])), &sum4()),
        broken
    );
    let none = "record 1: a feature has no value of float32, float64, int32 or bytes";
    assert_eq!(refusal(&single(Vec::new()), &sum4()), none);
    assert_eq!(refusal(&single(value(4, &[], &[], &[])), &sum4()), none);
    let two = [floats32(&[1.; 4], &[], &[]), ints32(&[1])].concat();
    assert_eq!(
        refusal(&single(two), &sum4()),
        "record 1: a feature has two values"
    );
    let axes = floats32(&[1.], &[], &[1; 65]);
    assert_eq!(
        refusal(&single(axes), &sum4()),
        "record 1: a feature has more than 64 axes"
    );
}

#[test]
fn dense_forms_above_the_limit_are_refused_before_they_are_made() {
    let wide = one(ElementType::Float32, "N,?");
    let sparse = |shape: &[u64]| floats32(&[1.], &[0], shape);
    assert_eq!(
        refusal(&single(sparse(&[1 << 40])), &wide),
        format!("the dense form of the records would take 4398046511104 bytes unpacked, {LIMIT}")
    );
    for shape in [&[u64::MAX][..], &[1 << 40, 1 << 40], &[u64::MAX, u64::MAX]] {
        let text = refusal(&single(sparse(shape)), &wide);
        assert!(text.ends_with(LIMIT), "{text}");
        let text = refusal(&single(sparse(shape)), &one(ElementType::Float32, "*"));
        assert!(text.ends_with(LIMIT), "{text}");
    }
    // Each row would fit, all of them together do not.
    let row = || ("values", sparse(&[100_000]));
    let rows = [row(), row(), row()];
    let rows: Vec<&[(&str, Vec<u8>)]> = rows.iter().map(std::slice::from_ref).collect();
    assert_eq!(
        refusal(&body(&rows), &wide),
        format!("the dense form of the records would take 1200000 bytes unpacked, {LIMIT}")
    );
    assert!(read(&body(&rows[..2]), &wide).is_ok());
    // The first row is dense, and the limit is met all the same.
    let first = ("values", floats32(&vec![0.0; 100_000], &[], &[]));
    let late = [std::slice::from_ref(&first), rows[0], rows[0], rows[0]];
    assert!(refusal(&body(&late), &wide).ends_with(LIMIT));
    // A zero among the sizes hides the others.
    let text = refusal(
        &single(floats32(&[], &[], &[1 << 60, 1 << 60, 0])),
        &one(ElementType::Float32, "*"),
    );
    assert!(text.contains("whose other axes exceed"), "{text}");
    // Small numbers that become large ones.
    let bytes = single(value(INT32, &vec![1; 200_000], &[], &[]));
    let text = refusal(&bytes, &one(ElementType::Int64, "N,?"));
    assert!(
        text.starts_with("the rows of the records would take 13"),
        "{text}"
    );
    // No row is made room for before the limit has been asked.
    let unlimited = decode(&Bytes::from(single(sparse(&[u64::MAX]))), &wide, usize::MAX);
    assert!(unlimited.is_err());
}

#[test]
fn no_cut_and_no_flipped_byte_panics() {
    let words = || one(ElementType::String, "N");
    for (body, signature) in [
        (golden!("dense.pbr"), sum4()),
        (golden!("sparse.pbr"), sum4()),
        (golden!("named.pbr"), mix()),
        (golden!("flat.pbr"), mix()),
        (golden!("text.pbr"), words()),
    ] {
        let rows = read(body, &signature).unwrap()[0].rows();
        for cut in 1..body.len() {
            // A cut between two records leaves whole ones.
            if let Ok(tensors) = read(&body[..cut], &signature) {
                assert!(tensors[0].rows() <= rows);
            }
        }
        for at in 0..body.len() {
            for flip in [0x01, 0x02, 0x08, 0x80, 0xff] {
                let mut wrong = body.to_vec();
                wrong[at] ^= flip;
                let _ = read(&wrong, &signature);
            }
        }
    }
}

proptest! {
    #[test]
    fn no_payload_panics(payload: Vec<u8>, element: Vec<u8>, kind in 0u64..12) {
        let mut out = Vec::new();
        frame::put(&mut out, &payload).unwrap();
        let _ = read(&out, &sum4());
        let _ = read(&single(value(kind, &element, &[], &[])), &sum4());
        let mut raw = Vec::new();
        put_bytes(&mut raw, kind, &payload);
        let _ = read(&single(raw), &one(ElementType::Int64, "N,?"));
    }

    #[test]
    fn no_sparse_row_panics(
        numbers in proptest::collection::vec(any::<f32>(), 0..5),
        keys in proptest::collection::vec(0u64..9, 0..5),
        shape in proptest::collection::vec(0u64..4, 0..4),
        dims in "\\*|N|N,4|N,\\?|N,2,\\?|N,2,2",
    ) {
        let _ = read(&single(floats32(&numbers, &keys, &shape)), &one(ElementType::Float32, &dims));
    }
}
