//! Archives that lie, swell or break off.

use proptest::prelude::*;

use super::*;
use crate::codec::tests::{floats, sum4};

fn good() -> Vec<u8> {
    deflated(&[("x.npy", file(floats(&[1, 4], &[1., 2., 3., 4.])))])
}

/// Overwrites bytes behind the last occurrence of a record's magic.
fn patch(body: &mut [u8], magic: &[u8], at: usize, bytes: &[u8]) {
    let start = memchr::memmem::rfind(body, magic).unwrap() + at;
    body[start..start + bytes.len()].copy_from_slice(bytes);
}

const LOCAL: &[u8] = b"PK\x03\x04";
const ENTRY: &[u8] = b"PK\x01\x02";
const END: &[u8] = b"PK\x05\x06";

fn patched(magic: &[u8], at: usize, bytes: &[u8]) -> String {
    let mut body = good();
    patch(&mut body, magic, at, bytes);
    refusal(&body, &sum4())
}

#[test]
fn a_bomb_is_refused_before_it_is_unpacked() {
    let zeros = file(floats(&[1, 1 << 20], &vec![0.0; 1 << 20]));
    let bomb = deflated(&[("x.npy", zeros)]);
    assert!(bomb.len() < 8192);
    assert_eq!(
        refusal(&bomb, &sum4()),
        "member \"x.npy\" would take 4194432 bytes unpacked, more than the limit of 1048576 bytes \
         (PLIMSOLL_MAX_UNPACKED_MB sets it)"
    );
    let half = || file(floats(&[1, 150_000], &vec![0.0; 150_000]));
    let two = deflated(&[("a.npy", half()), ("b.npy", half())]);
    let inputs = ["a", "b"].map(|name| port(name, ElementType::Float32, "N,?"));
    assert_eq!(
        refusal(&two, &signature(inputs.to_vec(), vec![])),
        "member \"b.npy\" and what precedes it would take 1200256 bytes unpacked, more than the \
         limit of 1048576 bytes (PLIMSOLL_MAX_UNPACKED_MB sets it)"
    );
    // Small elements that become large ones are a bomb as well.
    let mut texts = b"\x93NUMPY\x01\x00\x3f\x00{'descr': '|S1', 'fortran_order': False, 'shape': (100000,), }\n".to_vec();
    texts.resize(10 + 0x3f + 100_000, b'a');
    let body = stored(&[("x.npy", texts)]);
    let text = refusal(&body, &free("x", ElementType::String));
    assert!(
        text.starts_with("input x would take 5700000 bytes unpacked"),
        "{text}"
    );
}

#[test]
fn sizes_that_lie_are_refused_without_memory() {
    let prefix = "body is not a readable npz archive: ";
    let sizes = [0x00, 0x00, 0x0f, 0x00];
    // In the directory alone, where the member's own header contradicts it.
    let text = patched(ENTRY, 24, &sizes);
    assert!(
        text.starts_with(&format!("{prefix}header inconsistency")),
        "{text}"
    );
    // In both: more than there is, more than there can be, less than there is.
    let both = |bytes: &[u8]| {
        let mut body = good();
        patch(&mut body, ENTRY, 24, bytes);
        patch(&mut body, LOCAL, 22, bytes);
        refusal(&body, &sum4())
    };
    let text = both(&[145, 0, 0, 0]);
    assert!(
        text.starts_with("member \"x.npy\" cannot be unpacked: "),
        "{text}"
    );
    let text = both(&sizes);
    assert!(
        text.contains("it claims 983040 bytes, more than its "),
        "{text}"
    );
    let text = both(&[0xf0, 0xff, 0xff, 0xff]);
    assert!(
        text.contains("would take 4294967280 bytes unpacked"),
        "{text}"
    );
    let text = both(&[10, 0, 0, 0]);
    assert!(
        text.starts_with("member \"x.npy\" cannot be unpacked: "),
        "{text}"
    );
}

#[test]
fn wrong_checksums_are_refused() {
    let x = || file(floats(&[1, 4], &[1., 2., 3., 4.]));
    for body in [stored(&[("x.npy", x())]), good()] {
        let mut wrong = body.clone();
        patch(&mut wrong, ENTRY, 16, &[1, 2, 3, 4]);
        patch(&mut wrong, LOCAL, 14, &[1, 2, 3, 4]);
        assert_eq!(
            refusal(&wrong, &sum4()),
            "member \"x.npy\" cannot be unpacked: Invalid checksum"
        );
    }
    let mut changed = stored(&[("x.npy", x())]);
    let at = memchr::memmem::find(&changed, b"NUMPY").unwrap() + 130;
    changed[at] ^= 1;
    assert_eq!(
        refusal(&changed, &sum4()),
        "member \"x.npy\" cannot be unpacked: Invalid checksum"
    );
}

#[test]
fn what_is_not_stored_or_deflated_is_refused_with_the_reason() {
    let prefix = "body is not a readable npz archive: member \"x.npy\" ";
    assert_eq!(patched(ENTRY, 8, &[1, 0]), format!("{prefix}is encrypted"));
    let text = patched(ENTRY, 10, &[12, 0]);
    assert!(
        text.starts_with(&format!("{prefix}is packed by method ")),
        "{text}"
    );
    assert!(
        text.ends_with(", which is neither stored nor deflated"),
        "{text}"
    );
}

#[test]
fn the_end_of_an_archive_is_read_strictly() {
    let prefix = "body is not a readable npz archive: ";
    let not_zip = format!("{prefix}it does not end as a zip archive");
    assert_eq!(refusal(b"x", &sum4()), not_zip);
    assert_eq!(refusal(&[0; 100_000], &sum4()), not_zip);
    assert_eq!(refusal(b"PK\x05\x06", &sum4()), not_zip);
    assert_eq!(
        refusal(&[good().as_slice(), b"junk"].concat(), &sum4()),
        format!("{prefix}bytes follow its end, or its end is cut off")
    );
    let moved = format!("{prefix}its directory is not where it says");
    assert_eq!(
        refusal(&[b"junk", good().as_slice()].concat(), &sum4()),
        moved
    );
    assert_eq!(patched(END, 16, &[0, 0, 0, 0]), moved);
    assert_eq!(patched(END, 12, &[0xff, 0xff, 0, 0]), moved);
    assert_eq!(
        patched(END, 4, &[1, 0]),
        format!("{prefix}it is one part of several")
    );
    assert_eq!(
        patched(END, 8, &[0xff, 0xff, 0xff, 0xff]),
        format!("{prefix}it is of the kind for more than 65534 members or 4 GB")
    );
    assert_eq!(
        patched(END, 8, &[0xd0, 0x07, 0xd0, 0x07]),
        format!("{prefix}it holds 2000 members, more than 1006")
    );
    let text = patched(END, 8, &[2, 0, 2, 0]);
    assert!(text.starts_with(prefix), "{text}");
    // Fewer members than there are: the others have headers that no entry speaks of.
    let x = || file(floats(&[1, 4], &[1., 2., 3., 4.]));
    let mut hidden = stored(&[("x.npy", x()), ("y.npy", x())]);
    patch(&mut hidden, END, 8, &[1, 0, 1, 0]);
    assert!(refusal(&hidden, &sum4()).contains("local file header missing"));
}

#[test]
fn members_that_overlap_or_come_twice_are_refused() {
    let x = || file(floats(&[1, 4], &[1., 2., 3., 4.]));
    let two = stored(&[("x.npy", x()), ("y.npy", x())]);
    let mut twice = two.clone();
    let names: Vec<_> = memchr::memmem::find_iter(&two, b"y.npy").collect();
    for at in names {
        twice[at] = b'x';
    }
    assert!(refusal(&twice, &sum4()).contains("there twice"));
    // The second entry points to the first one's header.
    let mut shared = twice.clone();
    patch(&mut shared, ENTRY, 42, &[0; 4]);
    assert!(read(&shared, &sum4()).is_err());
    let mut overlapping = two;
    patch(&mut overlapping, ENTRY, 42, &[0; 4]);
    assert!(refusal(&overlapping, &sum4()).contains("header inconsistency"));
}

#[test]
fn a_million_members_cost_nothing() {
    // Entries without members, each with a name of its own, for what the end record can count.
    let mut body = vec![];
    for i in 0u32..1_000_000 {
        body.extend(ENTRY);
        body.extend([0; 24]);
        body.extend([4, 0]);
        body.extend([0; 16]);
        body.extend(i.to_le_bytes());
    }
    let size = body.len() as u32;
    body.extend(END);
    body.extend([0, 0, 0, 0, 0xfe, 0xff, 0xfe, 0xff]);
    body.extend(size.to_le_bytes());
    body.extend([0; 6]);
    assert_eq!(
        refusal(&body, &sum4()),
        "body is not a readable npz archive: it holds 65534 members, more than 1006"
    );
}

#[test]
fn an_archive_in_an_archive_is_no_array() {
    let inner = good();
    assert_eq!(
        refusal(&stored(&[("x.npy", inner)]), &sum4()),
        "member \"x.npy\" is not a readable npy file: it does not begin as an npy file"
    );
}

#[test]
fn every_cut_is_refused() {
    let bodies: [(&[u8], Signature); 4] = [
        (&good(), sum4()),
        (golden!("csr.npz"), free("x", ElementType::Float32)),
        (golden!("coo.npz"), free("x", ElementType::Float32)),
        (golden!("unnamed.npz"), free("x", ElementType::Float32)),
    ];
    for (body, signature) in bodies {
        assert!(read(body, &signature).is_ok());
        for cut in 1..body.len() {
            assert!(read(&body[..cut], &signature).is_err(), "{cut}");
        }
    }
}

#[test]
fn no_flipped_byte_panics() {
    for body in [
        golden!("csr.npz"),
        golden!("coo.npz"),
        golden!("bsr.npz"),
        golden!("dia.npz"),
        golden!("unnamed.npz"),
    ] {
        for at in 0..body.len() {
            for flip in [0x01, 0x80, 0xff] {
                let mut wrong = body.to_vec();
                wrong[at] ^= flip;
                let _ = read(&wrong, &free("x", ElementType::Float32));
            }
        }
    }
}

proptest! {
    #[test]
    fn no_archive_of_any_members_panics(
        members in proptest::collection::btree_map(
            "(format|shape|data|indices|indptr|row|col|coords|offsets|x)\\.npy",
            proptest::collection::vec(any::<u8>(), 0..200),
            0..7,
        ),
    ) {
        let members: Vec<_> = members.iter().map(|(n, b)| (n.as_str(), b.clone())).collect();
        let _ = read(&deflated(&members), &sum4());
    }

    #[test]
    fn no_numbers_panic(
        format in "csr|csc|coo|bsr|dia",
        shape in proptest::collection::vec(-1i64..6, 0..4),
        parts in proptest::collection::vec(proptest::collection::vec(-2i64..6, 0..6), 2),
        data in proptest::collection::vec(any::<f32>(), 0..6),
        cube: bool,
    ) {
        let count = data.len();
        let dims = match (format.as_str(), cube) {
            ("bsr", true) => vec![count, 1, 1],
            ("dia", true) => vec![1, count],
            _ => vec![count],
        };
        let ints = |numbers: &[i64]| file(crate::codec::tests::ints(&[numbers.len()], numbers));
        let names: &[&str] = match format.as_str() {
            "coo" => &["row.npy", "col.npy"],
            "dia" => &["offsets.npy"],
            _ => &["indptr.npy", "indices.npy"],
        };
        let mut members = vec![
            ("format.npy", file(crate::codec::tests::strings(&[], &[&format]))),
            ("shape.npy", ints(&shape)),
            ("data.npy", file(floats(&dims, &data))),
        ];
        members.extend(names.iter().zip(&parts).map(|(n, p)| (*n, ints(p))));
        let _ = read(&stored(&members), &free("x", ElementType::Float32));
    }
}

#[test]
fn thousands_of_axes_are_refused_at_the_header() {
    let header = format!(
        "{{'descr': '<f4', 'fortran_order': True, 'shape': ({}2, 2), }}\n",
        "1, ".repeat(9000)
    );
    let mut array = b"\x93NUMPY\x01\x00".to_vec();
    array.extend((header.len() as u16).to_le_bytes());
    array.extend(header.as_bytes());
    array.extend([0; 16]);
    let body = deflated(&[("x.npy", array)]);
    assert_eq!(
        refusal(&body, &free("x", ElementType::Float32)),
        "member \"x.npy\" is not a readable npy file: its shape has more than 64 axes"
    );
}
