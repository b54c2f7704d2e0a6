//! Bodies of many rows of numbers.

use benches::npy;
use benches::served::Body;

/// How rows are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Npy,
    Json,
}

impl Form {
    /// Rows of so many numbers in a body of about so many bytes, and never more.
    pub(crate) fn rows_of(self, bytes: usize, columns: usize) -> usize {
        match self {
            Self::Npy => (bytes - npy::head(&[bytes, columns]).len()) / (4 * columns),
            Self::Json => (bytes - WRAPPING) / (json_row(0, columns).len() + 2),
        }
    }

    /// A body of so many rows. What comes back is npz either way, which carries any outputs.
    pub(crate) fn body(self, rows: usize, columns: usize) -> Body {
        let (content_type, bytes) = match self {
            Self::Npy => {
                let mut bytes = npy::head(&[rows, columns]);
                bytes.extend((0..rows * columns).flat_map(|index| number(index).to_le_bytes()));
                ("application/x-npy", bytes)
            }
            Self::Json => {
                let mut text = Vec::from("{\"instances\": [");
                for row in 0..rows {
                    if row > 0 {
                        text.extend(b", ");
                    }
                    text.extend(json_row(row, columns).bytes());
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
fn json_row(row: usize, columns: usize) -> String {
    let numbers: Vec<String> = (0..columns)
        .map(|column| format!("{:.2}", number(row * columns + column)))
        .collect();
    format!("[{}]", numbers.join(", "))
}

/// From 0 to under 10, in quarters.
fn number(index: usize) -> f32 {
    let mixed = (index as u32).wrapping_add(1).wrapping_mul(2_654_435_761);
    ((mixed >> 16) % 40) as f32 / 4.0
}
