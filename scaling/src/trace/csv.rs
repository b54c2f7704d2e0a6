//! Traces as CSV, a line at a time.

use super::{Kind, Row, MOST_COSTS};
use crate::moment::millis;
use crate::policy::Invalid;

/// What becomes of bins that a trace leaves out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Gaps {
    /// It is refused.
    #[default]
    Refuse,
    /// Nothing came in them.
    Zero,
    /// As much came as in the one before.
    Previous,
}

/// The latest time: ten years.
pub(super) const LATEST_US: u64 = 10 * 366 * 86_400 * 1_000_000;
/// No time stamp is later, in seconds since 1970: what counts milliseconds is refused.
pub(super) const LATEST_STAMP: f64 = 1e11;
/// The most requests in a line.
const MOST: f64 = 1e12;

/// How the first column counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    Seconds,
    Millis,
    Stamp,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Column {
    Time(Unit),
    Amount,
    Class,
    Cost(usize),
    Unused,
}

/// What the lines hold.
#[derive(Debug, Clone)]
struct Header {
    kind: Kind,
    columns: Vec<Column>,
    names: Vec<String>,
}

/// Reads a trace.
#[derive(Debug, Clone)]
pub struct Reader {
    gaps: Gaps,
    /// Columns that the profile wants, and its classes.
    costs: Vec<String>,
    classes: Vec<String>,
    header: Option<Header>,
    line: u64,
    /// Milliseconds, of the first time stamp.
    first_stamp: Option<i64>,
    /// Microseconds.
    step: Option<u64>,
    /// Read, and not handed out: its end is not known.
    held: Option<Row>,
}

/// Why a number cannot be an amount.
pub(super) fn check_amount(amount: f64) -> Result<(), String> {
    if !(0.0..=MOST).contains(&amount) {
        return Err(format!("{amount}; expected 0 to {MOST:e}"));
    }
    Ok(())
}

impl Reader {
    /// A reader of a trace of which these columns of numbers and these classes are used.
    #[must_use]
    pub fn new(gaps: Gaps, costs: &[String], classes: &[String]) -> Self {
        Self {
            gaps,
            costs: costs.to_vec(),
            classes: classes.to_vec(),
            header: None,
            line: 0,
            first_stamp: None,
            step: None,
            held: None,
        }
    }

    /// What the rows are; none before the first line.
    #[must_use]
    pub fn kind(&self) -> Option<Kind> {
        self.header.as_ref().map(|header| header.kind)
    }

    /// When the trace begins, seconds since 1970; none where its times are offsets, or before its first row.
    #[must_use]
    pub fn begins(&self) -> Option<i64> {
        self.first_stamp.map(|millis| millis.div_euclid(1000))
    }

    /// Takes a line without its end; gives the row that is complete with it.
    ///
    /// # Errors
    /// A line and field that cannot be: no number, negative, huge, out of order, a gap, a column too few
    /// or too many, or an unknown class.
    pub fn line(&mut self, line: &str) -> Result<Option<Row>, Invalid> {
        self.line += 1;
        let line = line.trim_end_matches('\r');
        let line = match self.line {
            1 => line.trim_start_matches('\u{feff}'),
            _ => line,
        };
        if line.trim().is_empty() {
            return Ok(None);
        }
        if self.header.is_none() {
            let (header, is_data) = self.header(line)?;
            self.header = Some(header);
            if !is_data {
                return Ok(None);
            }
        }
        let row = self.row(line)?;
        self.add(row)
    }

    /// The end of the trace; gives the last row.
    ///
    /// # Errors
    /// There was none, or one bin alone, whose length nobody knows.
    pub fn finish(mut self) -> Result<Row, Invalid> {
        let Some(mut last) = self.held.take() else {
            return Err(Invalid::new("trace", "no rows; expected a header and rows"));
        };
        match (self.kind(), self.step) {
            (Some(Kind::Requests), _) => last.until_us = last.from_us + 1000,
            (_, Some(step)) => last.until_us = last.from_us + step,
            (_, None) => {
                return Err(self.wrong(
                    "t",
                    "one row; expected two at least, so that its length is known",
                ));
            }
        }
        Ok(last)
    }

    fn wrong(&self, field: &str, reason: impl Into<String>) -> Invalid {
        Invalid::new(format!("line {}, {field}", self.line), reason)
    }

    /// What a first line says, and whether it is a line of numbers already.
    fn header(&self, line: &str) -> Result<(Header, bool), Invalid> {
        let fields: Vec<&str> = line.split(',').map(str::trim).collect();
        if fields.iter().all(|field| field.parse::<f64>().is_ok()) {
            let columns = match fields.len() {
                1 => vec![Column::Time(Unit::Seconds)],
                2 => vec![Column::Time(Unit::Seconds), Column::Amount],
                several => {
                    let why = format!("{several} columns of numbers and no header; expected `t_s,requests` or the like first");
                    return Err(self.wrong("header", why));
                }
            };
            self.has_costs(line, &columns)?;
            let kind = match columns.len() {
                1 => Kind::Requests,
                _ => Kind::Bins,
            };
            let names = vec!["t_s".to_owned(), "requests".to_owned()];
            return Ok((
                Header {
                    kind,
                    columns,
                    names,
                },
                true,
            ));
        }
        let mut kind = Kind::Requests;
        let mut columns = Vec::new();
        for (at, field) in fields.iter().enumerate() {
            let name = field.trim_matches('"').to_ascii_lowercase();
            let column = match name.as_str() {
                "t_s" | "t" | "seconds" if at == 0 => Column::Time(Unit::Seconds),
                "t_ms" | "milliseconds" if at == 0 => Column::Time(Unit::Millis),
                "timestamp" | "time" | "datetime" | "date" if at == 0 => Column::Time(Unit::Stamp),
                _ if at == 0 => {
                    let why = format!("{field:?}; expected the time first: t_s, t_ms or timestamp");
                    return Err(self.wrong("header", why));
                }
                "requests" | "count" | "invocations" | "value" | "sum" | "clients" => {
                    if columns.contains(&Column::Amount) {
                        let why = format!(
                            "{field:?} is a second amount; expected one of requests and clients"
                        );
                        return Err(self.wrong("header", why));
                    }
                    kind = if name == "clients" {
                        Kind::Clients
                    } else {
                        Kind::Bins
                    };
                    Column::Amount
                }
                "class" | "model" => Column::Class,
                _ => match self
                    .costs
                    .iter()
                    .position(|cost| cost.eq_ignore_ascii_case(&name))
                {
                    Some(cost) if cost < MOST_COSTS => Column::Cost(cost),
                    _ => Column::Unused,
                },
            };
            columns.push(column);
        }
        self.has_costs(line, &columns)?;
        let names = fields.iter().map(|&name| name.to_owned()).collect();
        Ok((
            Header {
                kind,
                columns,
                names,
            },
            false,
        ))
    }

    /// Whether every column is there that the profile uses.
    fn has_costs(&self, line: &str, columns: &[Column]) -> Result<(), Invalid> {
        let missing = (0..self.costs.len()).find(|&cost| !columns.contains(&Column::Cost(cost)));
        let Some(missing) = missing else {
            return Ok(());
        };
        let name = &self.costs[missing];
        let why =
            format!("{line:?} has no column {name:?}, which the profile turns into service time");
        Err(self.wrong("header", why))
    }

    fn row(&mut self, line: &str) -> Result<Row, Invalid> {
        let Some(header) = self.header.take() else {
            return Err(self.wrong("header", "expected one"));
        };
        let row = self.fields(&header, line);
        self.header = Some(header);
        row
    }

    fn fields(&mut self, header: &Header, line: &str) -> Result<Row, Invalid> {
        let mut row = Row {
            from_us: 0,
            until_us: 0,
            amount: 1.0,
            costs: [0.0; MOST_COSTS],
            class: None,
        };
        let mut fields = line.split(',');
        for (column, name) in header.columns.iter().zip(&header.names) {
            let Some(field) = fields.next() else {
                let (found, wanted) = (line.split(',').count(), header.columns.len());
                return Err(self.wrong(name, format!("{found} fields; expected {wanted}")));
            };
            let field = field.trim();
            match column {
                Column::Time(unit) => row.from_us = self.time(*unit, name, field)?,
                Column::Amount => {
                    row.amount = self.number(name, field)?;
                    check_amount(row.amount).map_err(|why| self.wrong(name, why))?;
                }
                Column::Cost(cost) => {
                    let value = self.number(name, field)?;
                    check_amount(value).map_err(|why| self.wrong(name, why))?;
                    row.costs[*cost] = value;
                }
                Column::Class => {
                    let class = self.classes.iter().position(|class| class == field);
                    let class = class.ok_or_else(|| {
                        let why = format!(
                            "{field:?}; expected a class of the profile, one of {:?}",
                            self.classes
                        );
                        self.wrong(name, why)
                    })?;
                    row.class = u32::try_from(class).ok();
                }
                Column::Unused => {}
            }
        }
        if fields.next().is_some() {
            let (found, wanted) = (line.split(',').count(), header.columns.len());
            return Err(self.wrong("last field", format!("{found} fields; expected {wanted}")));
        }
        if header.kind == Kind::Bins && row.amount > 0.0 {
            for cost in &mut row.costs {
                *cost /= row.amount;
            }
        }
        Ok(row)
    }

    fn number(&self, name: &str, field: &str) -> Result<f64, Invalid> {
        let number = field
            .parse::<f64>()
            .ok()
            .filter(|number| number.is_finite());
        number.ok_or_else(|| self.wrong(name, format!("{field:?}; expected a number")))
    }

    /// Microseconds from the beginning.
    fn time(&mut self, unit: Unit, name: &str, field: &str) -> Result<u64, Invalid> {
        let micros = match unit {
            Unit::Seconds => self.number(name, field)? * 1e6,
            Unit::Millis => self.number(name, field)? * 1e3,
            Unit::Stamp => {
                let field = field.trim_matches('"');
                let epoch = field.parse::<f64>().ok();
                let epoch = epoch.filter(|secs| secs.abs() < LATEST_STAMP);
                let epoch = epoch.map(|secs| (secs * 1000.0) as i64);
                let Some(now) = epoch.or_else(|| millis(field)) else {
                    let why = format!("{field:?}; expected an ISO 8601 time or seconds since 1970");
                    return Err(self.wrong(name, why));
                };
                (now - *self.first_stamp.get_or_insert(now)) as f64 * 1e3
            }
        };
        if !(0.0..=LATEST_US as f64).contains(&micros) {
            let why = format!("{field:?}; expected the offset from the trace's beginning, 0 to ten years, in order");
            return Err(self.wrong(name, why));
        }
        Ok(micros.round() as u64)
    }

    /// Holds a row, and gives the one before with its end.
    fn add(&mut self, row: Row) -> Result<Option<Row>, Invalid> {
        let Some(mut last) = self.held.replace(row) else {
            return Ok(None);
        };
        let Some(step) = row.from_us.checked_sub(last.from_us) else {
            let why = format!(
                "{} s after {} s; expected times in order",
                secs(row.from_us),
                secs(last.from_us)
            );
            return Err(self.wrong("t", why));
        };
        last.until_us = row.from_us;
        if self.kind() == Some(Kind::Requests) {
            return Ok(Some(last));
        }
        if step == 0 {
            return Err(self.wrong(
                "t",
                format!(
                    "{} s is there twice; expected each bin once",
                    secs(row.from_us)
                ),
            ));
        }
        let regular = *self.step.get_or_insert(step);
        if self.kind() == Some(Kind::Bins) && step != regular {
            let (found, wanted) = (secs(step), secs(regular));
            if !step.is_multiple_of(regular) {
                let why = format!("{found} s after the line before; expected multiples of {wanted} s, as between the first two");
                return Err(self.wrong("t", why));
            }
            match self.gaps {
                Gaps::Refuse => {
                    let why = format!("a gap: {found} s after the line before; expected {wanted} s, or --gaps zero or previous, which says what came in it");
                    return Err(self.wrong("t", why));
                }
                Gaps::Zero => last.until_us = last.from_us + regular,
                Gaps::Previous => last.amount *= step as f64 / regular as f64,
            }
        }
        Ok(Some(last))
    }
}

fn secs(micros: u64) -> f64 {
    micros as f64 / 1e6
}
