//! CSV text → tensors, in one pass after the first line has been counted.

use std::borrow::Cow;

use crate::codec::conform;
use crate::codec::element::{empty, owned, Element, Misfit};
use crate::codec::error::{misfit, unreadable};
use crate::codec::layout::Layout;
use crate::codec::DecodeError;
use crate::each_type;
use crate::model::{Port, Signature};
use crate::tensor::{element_count, Data, Tensor};

/// Reads records into one tensor per input.
///
/// # Errors
/// [`DecodeError`], naming line and column, or why a flat record cannot fill the inputs.
pub(in crate::codec) fn decode(
    body: &[u8],
    signature: &Signature,
) -> Result<Vec<Tensor>, DecodeError> {
    if signature.inputs.is_empty() {
        return Err(misfit("the model has no inputs; send an empty body"));
    }
    let layout = Layout::new(signature)?;
    let text = std::str::from_utf8(body).map_err(|_| unreadable("csv body is not utf-8 text"))?;
    // Spreadsheets put a byte order mark before their utf-8.
    let mut reader = Reader::new(text.strip_prefix('\u{feff}').unwrap_or(text));
    let mut ahead = reader.clone();
    if !ahead.next_record() {
        return Err(misfit("no records: every line is blank"));
    }
    let first_line = ahead.record_line;
    let columns = ahead.count_cells()?;
    let shapes = layout.shapes(columns).map_err(|expected| {
        misfit(format!(
            "line {first_line} has {columns} columns, {expected}"
        ))
    })?;
    let mut inputs = Vec::with_capacity(shapes.len());
    for (port, shape) in signature.inputs.iter().zip(shapes) {
        let width = element_count(&shape).unwrap_or(0);
        inputs.push((port, shape, width, empty(conform::element(port)?)));
    }
    let mut records = 0;
    while reader.next_record() {
        let mut column = 0;
        for (port, _, width, data) in &mut inputs {
            reader.fill(port, data, *width, column)?;
            column += *width;
        }
        if reader.more {
            let found = column + reader.count_cells()?;
            return Err(ragged(reader.record_line, found, first_line, columns));
        }
        records += 1;
    }
    let mut tensors = Vec::with_capacity(inputs.len());
    for (port, mut shape, _, data) in inputs {
        shape.insert(0, records);
        tensors.push(conform::tensor(port, shape, data)?);
    }
    conform::check(signature, &tensors)?;
    Ok(tensors)
}

fn ragged(line: usize, found: usize, first_line: usize, columns: usize) -> DecodeError {
    misfit(format!(
        "line {line} has {found} columns, line {first_line} has {columns}"
    ))
}

/// Cells of a text, line by line.
#[derive(Clone)]
struct Reader<'t> {
    text: &'t str,
    at: usize,
    /// The line at `at`, from 1.
    line: usize,
    /// The line on which the current record began.
    record_line: usize,
    /// The line on which the first record began.
    first_line: usize,
    /// Whether the current record has another cell.
    more: bool,
}

impl<'t> Reader<'t> {
    fn new(text: &'t str) -> Self {
        Self {
            text,
            at: 0,
            line: 1,
            record_line: 0,
            first_line: 0,
            more: false,
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// Takes one line end of any kind.
    fn newline(&mut self) -> bool {
        match self.peek() {
            Some(b'\r') => {
                self.at += 1;
                if self.peek() == Some(b'\n') {
                    self.at += 1;
                }
            }
            Some(b'\n') => self.at += 1,
            _ => return false,
        }
        self.line += 1;
        true
    }

    /// Goes to the next line that is not blank; `false` at the end.
    fn next_record(&mut self) -> bool {
        while self.newline() {}
        self.more = self.at < self.text.len();
        self.record_line = self.line;
        if self.first_line == 0 {
            self.first_line = self.line;
        }
        self.more
    }

    /// The next cell of this record, without its quotes.
    fn next_cell(&mut self) -> Result<Option<Cow<'t, str>>, DecodeError> {
        if !self.more {
            return Ok(None);
        }
        let cell = match self.peek() {
            Some(b'"') => self.quoted()?,
            _ => {
                let rest = &self.text.as_bytes()[self.at..];
                let end = rest
                    .iter()
                    .position(|b| matches!(b, b',' | b'\n' | b'\r'))
                    .unwrap_or(rest.len());
                let cell = &self.text[self.at..self.at + end];
                self.at += end;
                Cow::Borrowed(cell)
            }
        };
        match self.peek() {
            Some(b',') => self.at += 1,
            _ => {
                self.more = false;
                if !self.newline() && self.at < self.text.len() {
                    return Err(unreadable(format!(
                        "line {}: text after a closing quote",
                        self.line
                    )));
                }
            }
        }
        Ok(Some(cell))
    }

    /// A cell in quotes, at its opening one.
    fn quoted(&mut self) -> Result<Cow<'t, str>, DecodeError> {
        let opened = self.line;
        let mut cell = Cow::Borrowed("");
        loop {
            // Over an opening quote, or over the second of a doubled pair.
            self.at += 1;
            let start = self.at;
            let Some(length) = self.text[start..].find('"') else {
                return Err(unreadable(format!(
                    "line {opened}: a quote is opened and never closed"
                )));
            };
            let part = &self.text[start..start + length];
            self.line += newlines(part);
            self.at = start + length + 1;
            let doubled = self.peek() == Some(b'"');
            let part = if doubled {
                &self.text[start..self.at]
            } else {
                part
            };
            if cell.is_empty() {
                cell = Cow::Borrowed(part);
            } else {
                cell.to_mut().push_str(part);
            }
            if !doubled {
                return Ok(cell);
            }
        }
    }

    /// How many cells this record still has; takes them.
    fn count_cells(&mut self) -> Result<usize, DecodeError> {
        let mut count = 0;
        while self.next_cell()?.is_some() {
            count += 1;
        }
        Ok(count)
    }

    /// Reads the next `width` cells into an input; `column` of them came before.
    fn fill(
        &mut self,
        port: &Port,
        data: &mut Data,
        width: usize,
        column: usize,
    ) -> Result<(), DecodeError> {
        each_type!(data, buffer => self.fill_typed(port, owned(buffer), width, column))
    }

    fn fill_typed<T: Element>(
        &mut self,
        port: &Port,
        out: &mut Vec<T>,
        width: usize,
        column: usize,
    ) -> Result<(), DecodeError> {
        for i in 0..width {
            let Some(cell) = self.next_cell()? else {
                let mut first = self.clone();
                (first.at, first.line) = (0, 1);
                first.next_record();
                let columns = first.count_cells()?;
                return Err(ragged(
                    self.record_line,
                    column + i,
                    self.first_line,
                    columns,
                ));
            };
            match T::cell(&cell) {
                Ok(element) => out.push(element),
                Err(misfit) => return Err(self.cell_misfit(port, column + i + 1, misfit)),
            }
        }
        Ok(())
    }

    #[cold]
    fn cell_misfit(&self, port: &Port, column: usize, found: Misfit) -> DecodeError {
        let what = match port.tensor() {
            Some((element, _)) => found.describe(element),
            None => String::new(),
        };
        let text = matches!(found, Misfit::Kind(_)) && self.record_line == self.first_line;
        let hint = if text {
            "; a header line is not accepted"
        } else {
            ""
        };
        misfit(format!(
            "line {}, column {column} (input {}): {what}{hint}",
            self.record_line, port.name
        ))
    }
}

/// Line ends inside a quoted cell.
fn newlines(text: &str) -> usize {
    let bytes = text.as_bytes();
    let ends =
        |(i, b): (usize, &u8)| *b == b'\n' || (*b == b'\r' && bytes.get(i + 1) != Some(&b'\n'));
    bytes
        .iter()
        .enumerate()
        .filter(|&(i, b)| ends((i, b)))
        .count()
}
