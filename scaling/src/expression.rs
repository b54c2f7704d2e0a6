//! Metric math, as far as it makes one series of several.
//!
//! Numbers, ids, `+ - * / ^`, comparisons, `IF`, `FILL` with a number or `REPEAT`, `ABS`, `CEIL`,
//! `FLOOR`, and `MIN`, `MAX`, `SUM`, `AVG` of a list `[m1, m2]`. What works on a whole series (a `RATE`,
//! a `METRICS()`, a mean over time) is refused by name.
//!
//! A slot is computed from the same slot of each metric. What is computed from a missing value is
//! missing, and so is what is no finite number.

use crate::policy::{Invalid, MetricStat};

/// A formula over metrics. `FILL(m, REPEAT)` remembers: slots are computed in their order.
#[derive(Debug, Clone, PartialEq)]
pub enum Expression {
    /// A constant.
    Number(f64),
    /// A metric's value.
    Metric(MetricStat),
    /// Two operands.
    Binary(Operator, Box<(Expression, Expression)>),
    /// A function of one or more.
    Call(Function, Vec<Expression>),
    /// Something in place of what is missing.
    Fill {
        /// What may be missing.
        of: Box<Expression>,
        /// What takes its place; the last that was there, where it is none.
        with: Option<f64>,
        /// The last that was there.
        last: Option<f64>,
    },
}

/// Operators, in the order in which they bind, the loosest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    /// `<`
    Less,
    /// `<=`
    AtMost,
    /// `>`
    Greater,
    /// `>=`
    AtLeast,
    /// `==`
    Equal,
    /// `!=`
    Unequal,
    /// `+`
    Add,
    /// `-`
    Subtract,
    /// `*`
    Multiply,
    /// `/`
    Divide,
    /// `^`
    Power,
}

/// Functions of values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Function {
    /// `ABS(x)`
    Abs,
    /// `CEIL(x)`
    Ceil,
    /// `FLOOR(x)`
    Floor,
    /// `IF(condition, then, else)`
    If,
    /// `MIN([…])`
    Min,
    /// `MAX([…])`
    Max,
    /// `SUM([…])`
    Sum,
    /// `AVG([…])`
    Avg,
}

const OPERATORS: [(&str, Operator, u8); 11] = [
    ("<=", Operator::AtMost, 1),
    (">=", Operator::AtLeast, 1),
    ("==", Operator::Equal, 1),
    ("!=", Operator::Unequal, 1),
    ("<", Operator::Less, 1),
    (">", Operator::Greater, 1),
    ("+", Operator::Add, 2),
    ("-", Operator::Subtract, 2),
    ("*", Operator::Multiply, 3),
    ("/", Operator::Divide, 3),
    ("^", Operator::Power, 5),
];

/// Name, function, and values that it takes; none where it takes one list.
const FUNCTIONS: [(&str, Function, Option<usize>); 8] = [
    ("ABS", Function::Abs, Some(1)),
    ("CEIL", Function::Ceil, Some(1)),
    ("FLOOR", Function::Floor, Some(1)),
    ("IF", Function::If, Some(3)),
    ("MIN", Function::Min, None),
    ("MAX", Function::Max, None),
    ("SUM", Function::Sum, None),
    ("AVG", Function::Avg, None),
];

/// A minus before a value binds like this: `-2^2` is -4, `-2*3` is -6.
const NEGATION: u8 = 4;
/// Parentheses in parentheses.
const DEEPEST: usize = 64;

impl Expression {
    /// Reads an expression; `metric` gives what an id stands for.
    ///
    /// # Errors
    /// What is wrong and where, in characters from 1, with no field; or what `metric` says.
    pub fn parse(
        text: &str,
        metric: &mut dyn FnMut(&str) -> Result<Expression, Invalid>,
    ) -> Result<Self, Invalid> {
        let mut parser = Parser {
            text,
            at: 0,
            depth: 0,
            metric,
        };
        let expression = parser.expression(0)?;
        match parser.rest().is_empty() {
            true => Ok(expression),
            false => Err(parser.expected("an operator or the end")),
        }
    }

    /// Every metric in it.
    pub fn metrics<'a>(&'a self, found: &mut Vec<&'a MetricStat>) {
        match self {
            Self::Number(_) => {}
            Self::Metric(metric) => found.push(metric),
            Self::Binary(_, both) => {
                both.0.metrics(found);
                both.1.metrics(found);
            }
            Self::Call(_, values) => values.iter().for_each(|value| value.metrics(found)),
            Self::Fill { of, .. } => of.metrics(found),
        }
    }

    /// The next slot, of the values that the metrics have in it.
    pub fn next(&mut self, value_of: &mut dyn FnMut(&MetricStat) -> Option<f64>) -> Option<f64> {
        let value = match self {
            Self::Number(number) => Some(*number),
            Self::Metric(metric) => value_of(metric),
            Self::Binary(operator, both) => {
                // Both, always: each may remember.
                let (one, other) = (both.0.next(value_of), both.1.next(value_of));
                one.zip(other).map(|(one, other)| operator.of(one, other))
            }
            Self::Call(function, values) => {
                let values: Vec<_> = values.iter_mut().map(|v| v.next(value_of)).collect();
                function.of(&values)
            }
            Self::Fill { of, with, last } => {
                let value = of.next(value_of);
                *last = value.or(*last);
                value.or(*with).or(*last)
            }
        };
        value.filter(|value| value.is_finite())
    }
}

impl Operator {
    fn of(self, one: f64, other: f64) -> f64 {
        let truth = |is_true: bool| f64::from(u8::from(is_true));
        match self {
            Self::Less => truth(one < other),
            Self::AtMost => truth(one <= other),
            Self::Greater => truth(one > other),
            Self::AtLeast => truth(one >= other),
            Self::Equal => truth(one == other),
            Self::Unequal => truth(one != other),
            Self::Add => one + other,
            Self::Subtract => one - other,
            Self::Multiply => one * other,
            Self::Divide => one / other,
            Self::Power => one.powf(other),
        }
    }
}

impl Function {
    fn of(self, values: &[Option<f64>]) -> Option<f64> {
        // A list has what is there of it.
        let there = || values.iter().copied().flatten();
        match self {
            Self::Abs => values[0].map(f64::abs),
            Self::Ceil => values[0].map(f64::ceil),
            Self::Floor => values[0].map(f64::floor),
            Self::If => match values[0]? {
                0.0 => values[2],
                _ => values[1],
            },
            Self::Min => there().reduce(f64::min),
            Self::Max => there().reduce(f64::max),
            Self::Sum => there().reduce(|one, other| one + other),
            Self::Avg => there()
                .reduce(|one, other| one + other)
                .map(|sum| sum / there().count() as f64),
        }
    }
}

struct Parser<'a> {
    text: &'a str,
    /// In bytes.
    at: usize,
    depth: usize,
    metric: &'a mut dyn FnMut(&str) -> Result<Expression, Invalid>,
}

impl<'a> Parser<'a> {
    fn rest(&mut self) -> &'a str {
        let rest = &self.text[self.at..];
        let trimmed = rest.trim_start();
        self.at += rest.len() - trimmed.len();
        trimmed
    }

    fn takes(&mut self, token: &str) -> bool {
        let is_next = self.rest().starts_with(token);
        if is_next {
            self.at += token.len();
        }
        is_next
    }

    fn must_take(&mut self, token: &str) -> Result<(), Invalid> {
        match self.takes(token) {
            true => Ok(()),
            false => Err(self.expected(&format!("{token:?}"))),
        }
    }

    fn expected(&mut self, what: &str) -> Invalid {
        let rest: String = self.rest().chars().take(20).collect();
        let place = self.text[..self.at].chars().count() + 1;
        let found = match rest.is_empty() {
            true => "the end".to_owned(),
            false => format!("{rest:?}"),
        };
        Invalid::new(
            "",
            format!(
                "{found} at character {place} of {:?}; expected {what}",
                self.text
            ),
        )
    }

    /// A word of letters, digits and `_`, or nothing.
    fn word(&mut self) -> &'a str {
        let rest = self.rest();
        let end = rest
            .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
            .unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    /// What binds at least so tightly.
    fn expression(&mut self, tightness: u8) -> Result<Expression, Invalid> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(self.expected(&format!("at most {DEEPEST} levels")));
        }
        let mut one = self.value()?;
        loop {
            let rest = self.rest();
            let next = OPERATORS.iter().find(|(token, ..)| rest.starts_with(token));
            let Some((token, operator, binds)) = next.filter(|(_, _, binds)| *binds >= tightness)
            else {
                break;
            };
            self.at += token.len();
            let other = self.expression(binds + 1)?;
            one = Expression::Binary(*operator, Box::new((one, other)));
        }
        self.depth -= 1;
        Ok(one)
    }

    fn value(&mut self) -> Result<Expression, Invalid> {
        if self.takes("-") {
            let value = self.expression(NEGATION)?;
            let zero = Expression::Number(0.0);
            return Ok(Expression::Binary(
                Operator::Subtract,
                Box::new((zero, value)),
            ));
        }
        if self.takes("(") {
            let inside = self.expression(0)?;
            self.must_take(")")?;
            return Ok(inside);
        }
        let before = self.at;
        let rest = self.rest();
        if rest.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
            return self.number().map(Expression::Number);
        }
        let word = self.word();
        if word.is_empty() {
            return Err(self.expected("a number, an id or a function"));
        }
        if self.takes("(") {
            return self.call(word, before);
        }
        (self.metric)(word)
    }

    fn number(&mut self) -> Result<f64, Invalid> {
        let rest = self.rest();
        let is_exponent = |at: usize| matches!(rest.as_bytes()[at - 1], b'e' | b'E');
        let end = rest
            .char_indices()
            .find(|&(at, c)| {
                let is_part = c.is_ascii_digit() || c == '.';
                let is_sign = matches!(c, '+' | '-') && at > 0 && is_exponent(at);
                !(is_part || matches!(c, 'e' | 'E') || is_sign)
            })
            .map_or(rest.len(), |(at, _)| at);
        let number: f64 = rest[..end].parse().map_err(|_| self.expected("a number"))?;
        if !number.is_finite() {
            return Err(self.expected("a finite number"));
        }
        self.at += end;
        Ok(number)
    }

    /// What follows `name(`.
    fn call(&mut self, name: &str, before: usize) -> Result<Expression, Invalid> {
        if name == "FILL" {
            let of = Box::new(self.expression(0)?);
            self.must_take(",")?;
            let with = match self.takes("REPEAT") {
                true => None,
                false => {
                    let sign = if self.takes("-") { -1.0 } else { 1.0 };
                    let is_number = self
                        .rest()
                        .starts_with(|c: char| c.is_ascii_digit() || c == '.');
                    if !is_number {
                        return Err(self.expected("a number or REPEAT"));
                    }
                    Some(sign * self.number()?)
                }
            };
            self.must_take(")")?;
            return Ok(Expression::Fill {
                of,
                with,
                last: None,
            });
        }
        let known = FUNCTIONS.iter().find(|(known, ..)| *known == name);
        let Some((_, function, takes)) = known else {
            self.at = before;
            let names = FUNCTIONS.map(|(name, ..)| name).join(", ");
            return Err(self.expected(&format!("one of the functions FILL, {names}")));
        };
        if takes.is_none() {
            self.must_take("[")?;
        }
        let mut values = vec![self.expression(0)?];
        while takes.is_none_or(|takes| values.len() < takes) && self.takes(",") {
            values.push(self.expression(0)?);
        }
        if takes.is_some_and(|takes| values.len() < takes) {
            return Err(self.expected("\",\""));
        }
        if takes.is_none() {
            self.must_take("]")?;
        }
        self.must_take(")")?;
        Ok(Expression::Call(*function, values))
    }
}

#[cfg(test)]
#[path = "expression_tests.rs"]
mod tests;
