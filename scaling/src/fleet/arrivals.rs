//! When requests arrive, out of a trace's rows.

use super::random::Random;
use crate::policy::Invalid;
use crate::trace::{Kind, Row, MOST_COSTS};

/// One request on its way.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Arrival {
    pub(super) at_us: u64,
    pub(super) costs: [f64; MOST_COSTS],
    pub(super) class: Option<u32>,
}

/// So many are put in order at once.
const AT_ONCE: u64 = 64;

/// A span with requests in it that are not drawn yet.
#[derive(Debug, Clone, Copy)]
struct Span {
    from_us: u64,
    until_us: u64,
    requests: u64,
}

/// Draws the arrivals of a trace: those of a bin evenly and at random, as a Poisson process does when its
/// count is known. A bin of any size takes the same memory.
pub(super) struct Arrivals<R> {
    rows: R,
    random: Random,
    scale: f64,
    shift_us: u64,
    row: Option<Row>,
    /// The next one last.
    spans: Vec<Span>,
    /// The next one last.
    drawn: Vec<u64>,
    /// The end of what was read.
    end_us: u64,
    failed: Option<Invalid>,
}

impl<R: Iterator<Item = Result<Row, Invalid>>> Arrivals<R> {
    /// Of these rows, each amount times `scale`, later by `shift_us`.
    pub(super) fn new(rows: R, scale: f64, shift_us: u64, seed: u64) -> Self {
        Self {
            rows,
            random: Random::new(seed),
            scale,
            shift_us,
            row: None,
            spans: Vec::new(),
            drawn: Vec::new(),
            end_us: shift_us,
            failed: None,
        }
    }

    /// The end of the last row that was read.
    pub(super) fn end_us(&self) -> u64 {
        self.end_us
    }

    /// Why it ended early.
    pub(super) fn failed(&mut self) -> Option<Invalid> {
        self.failed.take()
    }

    /// The next row, moved and scaled.
    pub(super) fn next_row(&mut self) -> Option<Row> {
        match self.rows.next()? {
            Ok(mut row) => {
                row.from_us += self.shift_us;
                row.until_us += self.shift_us;
                row.amount *= self.scale;
                self.end_us = row.until_us;
                Some(row)
            }
            Err(why) => {
                self.failed = Some(why);
                None
            }
        }
    }

    /// The next request.
    pub(super) fn next(&mut self, kind: Kind) -> Option<Arrival> {
        while self.drawn.is_empty() {
            let Some(span) = self.spans.pop() else {
                self.open(kind)?;
                continue;
            };
            self.draw(span);
        }
        let at_us = self.drawn.pop()?;
        let row = self.row?;
        Some(Arrival {
            at_us,
            costs: row.costs,
            class: row.class,
        })
    }

    fn open(&mut self, kind: Kind) -> Option<()> {
        let row = self.next_row()?;
        self.row = Some(row);
        let whole = row.amount.floor();
        let more = self.random.unit() < row.amount - whole;
        let requests = whole as u64 + u64::from(more);
        // A request of its own is where the trace has it; copies lie between it and the next.
        if kind == Kind::Requests && requests > 0 {
            self.drawn.push(row.from_us);
        }
        let left = match kind {
            Kind::Requests => requests.saturating_sub(1),
            _ => requests,
        };
        if left > 0 {
            self.spans.push(Span {
                from_us: row.from_us,
                until_us: row.until_us.max(row.from_us + 1),
                requests: left,
            });
        }
        Some(())
    }

    /// Draws a span's requests, or parts it: each falls into either half alike.
    fn draw(&mut self, span: Span) {
        let width = span.until_us - span.from_us;
        if span.requests > AT_ONCE && width > 1 {
            let middle = span.from_us + width / 2;
            let early = match width.is_multiple_of(2) {
                true => self.halved(span.requests),
                // The halves are not alike: one by one.
                false => (0..span.requests)
                    .filter(|_| self.random.unit() * (width as f64) < (width / 2) as f64)
                    .count() as u64,
            };
            let (first, second) = (
                Span {
                    until_us: middle,
                    requests: early,
                    ..span
                },
                Span {
                    from_us: middle,
                    requests: span.requests - early,
                    ..span
                },
            );
            self.spans
                .extend([second, first].iter().filter(|span| span.requests > 0));
            return;
        }
        for _ in 0..span.requests {
            let off = ((u128::from(self.random.next()) * u128::from(width)) >> 64) as u64;
            self.drawn.push(span.from_us + off);
        }
        self.drawn.sort_unstable_by(|a, b| b.cmp(a));
    }

    /// How many of so many coins fall on one side.
    fn halved(&mut self, coins: u64) -> u64 {
        let words: u64 = (0..coins / 64)
            .map(|_| u64::from(self.random.next().count_ones()))
            .sum();
        let left = coins % 64;
        let last = match left {
            0 => 0,
            left => (self.random.next() >> (64 - left)).count_ones(),
        };
        words + u64::from(last)
    }
}
