//! The head of an npy file.

/// The head of a C-ordered little-endian f32 array, version 1.0 of the format.
#[must_use]
pub fn head(shape: &[usize]) -> Vec<u8> {
    let sizes: String = shape.iter().map(|size| format!("{size}, ")).collect();
    let mut text = format!(
        "{{'descr': '<f4', 'fortran_order': False, 'shape': ({}), }}",
        sizes.trim_end()
    );
    // The data begins at a multiple of 64; the last byte of the head is a line feed.
    while (10 + text.len() + 1) % 64 != 0 {
        text.push(' ');
    }
    text.push('\n');
    let length = (text.len() as u16).to_le_bytes();
    [b"\x93NUMPY\x01\x00".as_slice(), &length, text.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_data_behind_it_is_aligned() {
        let head = super::head(&[7, 64]);
        assert_eq!(head.len() % 64, 0);
        let text = String::from_utf8_lossy(&head[10..]);
        assert!(text.starts_with("{'descr': '<f4', 'fortran_order': False, 'shape': (7, 64,), }"));
        assert!(text.ends_with('\n'));
    }
}
