//! Bodies of the binary content types, written and read by rules of their own: nothing of the
//! product's codecs is used to judge them.

use std::io::{Read, Write};

use serde_json::Value;

/// `numpy.save` of an array with this type and shape (as Python writes them) and these bytes.
pub fn npy_of(descr: &str, shape: &str, elements: &[u8]) -> Vec<u8> {
    let mut file = npy_head(descr, shape);
    file.extend_from_slice(elements);
    file
}

/// What stands before the elements.
pub fn npy_head(descr: &str, shape: &str) -> Vec<u8> {
    let mut header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}");
    while (10 + header.len() + 1) % 64 != 0 {
        header.push(' ');
    }
    header.push('\n');
    let mut head = b"\x93NUMPY\x01\x00".to_vec();
    head.extend_from_slice(&u16::try_from(header.len()).unwrap().to_le_bytes());
    head.extend_from_slice(header.as_bytes());
    head
}

/// `numpy.save` of a float32 array of this shape.
pub fn npy(shape: &str, values: &[f32]) -> Vec<u8> {
    npy_of("<f4", shape, &f32_bytes(values))
}

/// Little-endian elements.
pub fn f32_bytes(values: &[f32]) -> Vec<u8> {
    values
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect()
}

/// The last elements of a body.
pub fn last_f32s(body: &[u8], count: usize) -> Vec<f32> {
    let elements = &body[body.len() - 4 * count..];
    elements
        .chunks_exact(4)
        .map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap()))
        .collect()
}

/// `numpy.savez` (or `savez_compressed`) of these arrays, each as a `.npy` file.
pub fn npz(arrays: &[(&str, Vec<u8>)], compressed: bool) -> Vec<u8> {
    let method = if compressed {
        zip::CompressionMethod::Deflated
    } else {
        zip::CompressionMethod::Stored
    };
    let options = zip::write::SimpleFileOptions::default().compression_method(method);
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, array) in arrays {
        archive
            .start_file(format!("{name}.npy"), options)
            .and_then(|()| Ok(archive.write_all(array)?))
            .expect("written");
    }
    archive.finish().expect("an archive").into_inner()
}

/// The arrays of an npz, by name, as `.npy` files.
pub fn read_npz(body: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut archive = zip::ZipArchive::new(std::io::Cursor::new(body)).expect("an archive");
    (0..archive.len())
        .map(|i| {
            let mut file = archive.by_index(i).expect("a file");
            let name = file.name().expect("a name");
            let name = name.strip_suffix(".npy").expect(".npy").to_owned();
            let mut array = Vec::new();
            file.read_to_end(&mut array).expect("read");
            (name, array)
        })
        .collect()
}

const RECORD_MAGIC: u32 = 0xCED7_230A;

fn varint(mut value: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

fn field(number: usize, content: &[u8]) -> Vec<u8> {
    [
        varint(number << 3 | 2),
        varint(content.len()),
        content.to_vec(),
    ]
    .concat()
}

/// One `aialgs.data.Record` a row in RecordIO frames, its float32 features under `values`.
pub fn recordio(rows: &[&[f32]]) -> Vec<u8> {
    let mut body = Vec::new();
    for row in rows {
        // Float32Tensor { values = 1 } in Value { float32_tensor = 2 } in Record { features = 1 }.
        let value = field(2, &field(1, &f32_bytes(row)));
        let record = field(1, &[field(1, b"values"), field(2, &value)].concat());
        body.extend_from_slice(&RECORD_MAGIC.to_le_bytes());
        body.extend_from_slice(&u32::try_from(record.len()).unwrap().to_le_bytes());
        body.extend_from_slice(&record);
        body.resize(body.len().next_multiple_of(4), 0);
    }
    body
}

/// The float32 values under each label of each record.
pub fn read_recordio_labels(mut body: &[u8]) -> Vec<Vec<(String, Vec<f32>)>> {
    let mut records = Vec::new();
    while !body.is_empty() {
        let word = |at: usize| u32::from_le_bytes(body[at..at + 4].try_into().unwrap());
        assert_eq!(word(0), RECORD_MAGIC, "a frame's magic number");
        let length = word(4) as usize;
        let record = &body[8..8 + length];
        body = &body[(8 + length).next_multiple_of(4)..];
        let labels = fields(record)
            .into_iter()
            .filter(|(number, _)| *number == 2);
        records.push(labels.map(|(_, entry)| label(&entry)).collect());
    }
    records
}

fn label(entry: &[u8]) -> (String, Vec<f32>) {
    let of = |message: &[u8], wanted: usize| {
        let found = fields(message).into_iter().find(|(n, _)| *n == wanted);
        found.map(|(_, content)| content).unwrap_or_default()
    };
    let name = String::from_utf8(of(entry, 1)).expect("a name");
    let tensor = of(&of(entry, 2), 2);
    let values = of(&tensor, 1);
    (name, last_f32s(&values, values.len() / 4))
}

/// The length-delimited fields of a protobuf message.
fn fields(mut message: &[u8]) -> Vec<(usize, Vec<u8>)> {
    let mut fields = Vec::new();
    let next = |message: &mut &[u8]| {
        let mut value = 0;
        for shift in (0..).step_by(7) {
            let byte = message[0];
            *message = &message[1..];
            value |= usize::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                break;
            }
        }
        value
    };
    while !message.is_empty() {
        let key = next(&mut message);
        assert_eq!(key & 7, 2, "a length-delimited field");
        let length = next(&mut message);
        fields.push((key >> 3, message[..length].to_vec()));
        message = &message[length..];
    }
    fields
}

/// Triton's binary type: the content type with the header's length, and header and data.
pub fn triton(header: &Value, data: &[u8]) -> (String, Vec<u8>) {
    let header = header.to_string();
    let content_type = triton_type(&header.len().to_string());
    (content_type, [header.as_bytes(), data].concat())
}

/// Triton's content type with this header length.
pub fn triton_type(length: &str) -> String {
    format!("application/vnd.sagemaker-triton.binary+json;json-header-size={length}")
}

/// `gzip` of this.
pub fn gzip(content: &[u8]) -> Vec<u8> {
    let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    writer.write_all(content).expect("written");
    writer.finish().expect("finished")
}

/// `deflate` as HTTP means it: with zlib's frame.
pub fn deflate(content: &[u8]) -> Vec<u8> {
    let mut writer = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
    writer.write_all(content).expect("written");
    writer.finish().expect("finished")
}

/// What was zipped.
pub fn gunzip(content: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    let mut reader = flate2::read::GzDecoder::new(content);
    reader.read_to_end(&mut plain).expect("gzip");
    plain
}
