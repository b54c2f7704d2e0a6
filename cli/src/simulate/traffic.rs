//! The trace's file: read once to know what is in it, and again, line by line, for each run.

use std::io::{BufRead, BufReader, Cursor};
use std::path::{Path, PathBuf};

use scaling::capacity::Profile;
use scaling::policy::Invalid;
use scaling::trace::{cloudwatch, Gaps, Kind, Reader, Row, MOST_COSTS};

use super::{of, read};

/// What is in a trace.
#[derive(Debug, Clone, serde::Serialize)]
pub(super) struct Survey {
    /// Where it is.
    pub(super) name: String,
    /// Requests; of callers, their seconds.
    pub(super) requests: f64,
    /// From the beginning to the end.
    pub(super) secs: f64,
    /// When it begins, seconds since 1970; none where nobody knows.
    pub(super) begins: Option<i64>,
    /// Requests a second, or callers, in the busiest row of at least a second; of single requests the
    /// busiest second.
    pub(super) most_per_sec: f64,
    /// Rows.
    pub(super) rows: u64,
    #[serde(skip)]
    pub(super) kind: Kind,
    /// Requests of each class, where the trace names them.
    #[serde(skip)]
    pub(super) by_class: Vec<f64>,
    /// What the mean request asks for.
    #[serde(skip)]
    pub(super) costs: [f64; MOST_COSTS],
}

#[derive(Debug)]
enum Source {
    File(PathBuf),
    Text(&'static str),
    Rows(Vec<Row>),
}

/// A trace that can be read as often as there are runs.
#[derive(Debug)]
pub(super) struct Traffic {
    source: Source,
    reader: Reader,
    survey: Survey,
}

impl Traffic {
    /// Of a file. CloudWatch leaves out periods without requests: they are zero there if it is not said.
    pub(super) fn file(file: &Path, gaps: Option<Gaps>, profile: &Profile) -> Result<Self, String> {
        let is_json = file
            .extension()
            .is_some_and(|end| end.eq_ignore_ascii_case("json"));
        let reader = Reader::new(
            gaps.unwrap_or_default(),
            &profile.columns(),
            &profile.class_names(),
        );
        if is_json {
            if let Some(column) = profile.columns().first() {
                let why = "CloudWatch's answer has no columns; expected a CSV trace that has it";
                return Err(format!("{}: {column}: {why}", file.display()));
            }
            let (kind, rows, begins) = cloudwatch(&read(file)?, gaps.unwrap_or(Gaps::Zero))
                .map_err(|error| of(file, &error))?;
            let mut traffic = Self::new(
                Source::Rows(rows),
                reader,
                Some(kind),
                profile.classes.len(),
            )
            .map_err(|error| of(file, &error))?;
            traffic.survey.begins = Some(begins.div_euclid(1000));
            return Ok(traffic);
        }
        Self::new(
            Source::File(file.to_owned()),
            reader,
            None,
            profile.classes.len(),
        )
        .map_err(|error| of(file, &error))
    }

    /// Of a text.
    pub(super) fn text(text: &'static str, profile: &Profile) -> Result<Self, String> {
        let reader = Reader::new(Gaps::Refuse, &profile.columns(), &profile.class_names());
        Self::new(Source::Text(text), reader, None, profile.classes.len())
            .map_err(|error| error.to_string())
    }

    fn new(
        source: Source,
        reader: Reader,
        kind: Option<Kind>,
        classes: usize,
    ) -> Result<Self, Invalid> {
        let name = match &source {
            Source::File(file) => file
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned(),
            Source::Text(_) => "the demonstration's trace".to_owned(),
            Source::Rows(_) => "CloudWatch".to_owned(),
        };
        let mut traffic = Self {
            source,
            reader,
            survey: Survey {
                name,
                requests: 0.0,
                secs: 0.0,
                begins: None,
                most_per_sec: 0.0,
                rows: 0,
                kind: kind.unwrap_or(Kind::Bins),
                by_class: vec![0.0; classes],
                costs: [0.0; MOST_COSTS],
            },
        };
        let mut lines = traffic.lines()?;
        let mut survey = traffic.survey.clone();
        let mut second = (0, 0.0);
        while let Some(row) = lines.next() {
            let row = row?;
            let secs = (row.until_us - row.from_us) as f64 / 1e6;
            survey.rows += 1;
            let is_clients = lines.kind.or(kind) == Some(Kind::Clients);
            if is_clients && row.amount > MOST_CLIENTS {
                let reason = format!(
                    "{} at {} s; expected at most {MOST_CLIENTS}",
                    row.amount,
                    row.from_us / 1_000_000
                );
                return Err(Invalid {
                    field: "clients".to_owned(),
                    reason,
                });
            }
            survey.requests += row.amount * if is_clients { secs } else { 1.0 };
            if let Some(class) = row.class {
                survey.by_class[class as usize] += row.amount;
            }
            survey.secs = row.until_us as f64 / 1e6;
            survey.begins = survey.begins.or(lines.begins);
            for (cost, of_row) in survey.costs.iter_mut().zip(row.costs) {
                *cost += row.amount * of_row;
            }
            let now = row.from_us / 1_000_000;
            let kind = lines.kind.or(kind);
            let rate = match kind {
                Some(Kind::Requests) => {
                    second = match second.0 == now {
                        true => (now, second.1 + row.amount),
                        false => (now, row.amount),
                    };
                    second.1
                }
                Some(Kind::Clients) => row.amount,
                _ => row.amount / secs.max(1e-9),
            };
            survey.most_per_sec = survey.most_per_sec.max(rate);
            survey.kind = kind.unwrap_or(Kind::Bins);
        }
        if survey.requests > 0.0 {
            survey.costs = survey.costs.map(|cost| cost / survey.requests);
        }
        drop(lines);
        traffic.survey = survey;
        Ok(traffic)
    }

    pub(super) fn survey(&self) -> &Survey {
        &self.survey
    }

    /// Its rows, from the first.
    pub(super) fn rows(&self) -> Result<Lines<'_>, Invalid> {
        self.lines()
    }

    fn lines(&self) -> Result<Lines<'_>, Invalid> {
        let lines: Box<dyn BufRead + Send + '_> = match &self.source {
            Source::File(file) => Box::new(BufReader::with_capacity(
                1 << 16,
                std::fs::File::open(file).map_err(|error| failed(&error))?,
            )),
            Source::Text(text) => Box::new(Cursor::new(text)),
            Source::Rows(_) => Box::new(Cursor::new("")),
        };
        let rows: &[Row] = match &self.source {
            Source::Rows(rows) => rows,
            _ => &[],
        };
        Ok(Lines {
            lines,
            line: Vec::new(),
            reader: match &self.source {
                Source::Rows(_) => None,
                _ => Some(self.reader.clone()),
            },
            kind: None,
            begins: None,
            rows: rows.iter(),
        })
    }
}

fn failed(error: &std::io::Error) -> Invalid {
    Invalid {
        field: "trace".to_owned(),
        reason: format!("cannot be read: {error}"),
    }
}

/// The rows of a trace.
pub(super) struct Lines<'t> {
    lines: Box<dyn BufRead + Send + 't>,
    line: Vec<u8>,
    /// None at the end.
    reader: Option<Reader>,
    kind: Option<Kind>,
    begins: Option<i64>,
    rows: std::slice::Iter<'t, Row>,
}

/// The most callers of a closed loop.
const MOST_CLIENTS: f64 = 1e6;
/// The longest line.
const LONGEST_LINE: u64 = 1 << 20;

impl Iterator for Lines<'_> {
    type Item = Result<Row, Invalid>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(row) = self.rows.next() {
            return Some(Ok(*row));
        }
        loop {
            let reader = self.reader.as_mut()?;
            self.line.clear();
            let read = std::io::Read::take(&mut self.lines, LONGEST_LINE)
                .read_until(b'\n', &mut self.line);
            let row = match read {
                Err(error) => Err(failed(&error)),
                Ok(0) => {
                    let reader = self.reader.take()?;
                    self.kind = self.kind.or(reader.kind());
                    self.begins = self.begins.or(reader.begins());
                    return Some(reader.finish());
                }
                Ok(_) => match std::str::from_utf8(&self.line) {
                    Ok(line) => reader.line(line.trim_end_matches('\n')),
                    Err(_) => Err(failed(&std::io::Error::other("not UTF-8; expected CSV"))),
                },
            };
            if self.kind.is_none() {
                self.kind = reader.kind();
            }
            if self.begins.is_none() {
                self.begins = reader.begins();
            }
            match row {
                Ok(None) => {}
                Ok(Some(row)) => return Some(Ok(row)),
                Err(error) => {
                    self.reader = None;
                    return Some(Err(error));
                }
            }
        }
    }
}
