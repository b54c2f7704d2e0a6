//! Bodies of many rows for the digits model, which takes 64 numbers a row.

use benches::npy;
use benches::served::Body;

/// Numbers of a row.
pub(crate) const COLUMNS: usize = 64;

/// How rows are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Npy,
    Json,
}

impl Form {
    /// Rows of a body of about so many bytes, and never more.
    pub(crate) fn rows_of(self, bytes: usize) -> usize {
        match self {
            Self::Npy => (bytes - npy::head(&[bytes, COLUMNS]).len()) / (4 * COLUMNS),
            Self::Json => (bytes - WRAPPING) / (json_row(0).len() + 2),
        }
    }

    /// A body of so many rows. What comes back is npz either way: digits has two outputs.
    pub(crate) fn body(self, rows: usize) -> Body {
        let (content_type, bytes) = match self {
            Self::Npy => {
                let mut bytes = npy::head(&[rows, COLUMNS]);
                bytes.extend((0..rows * COLUMNS).flat_map(|index| ink(index).to_le_bytes()));
                ("application/x-npy", bytes)
            }
            Self::Json => {
                let mut text = Vec::from("{\"instances\": [");
                for row in 0..rows {
                    if row > 0 {
                        text.extend(b", ");
                    }
                    text.extend(json_row(row).bytes());
                }
                text.extend(b"]}");
                ("application/json", text)
            }
        };
        Body {
            content_type: content_type.to_owned(),
            accept: Some("application/x-npz"),
            bytes,
        }
    }
}

/// Room for what stands around the rows.
const WRAPPING: usize = 64;

/// Spaced as Python's `json.dumps` does; every row has the same length.
fn json_row(row: usize) -> String {
    let numbers: Vec<String> = (0..COLUMNS)
        .map(|column| format!("{:.2}", ink(row * COLUMNS + column)))
        .collect();
    format!("[{}]", numbers.join(", "))
}

/// Ink from 0 to under 10, in quarters.
fn ink(index: usize) -> f32 {
    let mixed = (index as u32).wrapping_add(1).wrapping_mul(2_654_435_761);
    ((mixed >> 16) % 40) as f32 / 4.0
}
