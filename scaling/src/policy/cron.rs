//! Cron expressions of six fields, as Application Auto Scaling has them.

use jiff::civil::{date, Date, Weekday};

use super::schedule::unreadable;
use super::Invalid;

/// The six fields of a cron expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cron {
    minutes: Vec<u16>,
    hours: Vec<u16>,
    days: Vec<DayOfMonth>,
    months: Vec<u16>,
    weekdays: Vec<DayOfWeek>,
    years: Vec<u16>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum DayOfMonth {
    Number(u16),
    /// `L`
    Last,
    /// `15W`: the weekday (Monday to Friday) of the month that is nearest.
    NearestWeekday(u16),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum DayOfWeek {
    /// 1 is Sunday.
    Every(u16),
    /// `3#2`: the second Tuesday.
    Nth(u16, u16),
    /// `6L`: the last Friday.
    Last(u16),
}

const MONTHS: [&str; 12] = [
    "JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC",
];
const WEEKDAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];
/// The years that a cron expression may name.
const YEARS: (u16, u16) = (1970, 2199);

/// A field with its bounds and names.
struct Field<'a> {
    name: &'a str,
    text: &'a str,
    least: u16,
    most: u16,
    names: &'a [&'a str],
}

impl Field<'_> {
    fn wrong(&self, part: &str) -> Invalid {
        unreadable(format!(
            "{part:?} is no {}; expected {} to {}, a list, a range, a step or *",
            self.name, self.least, self.most
        ))
    }

    fn number(&self, part: &str) -> Result<u16, Invalid> {
        let named = self
            .names
            .iter()
            .position(|name| name.eq_ignore_ascii_case(part));
        let number = match named {
            Some(at) => Some(at as u16 + self.least),
            None => part.parse().ok(),
        };
        number
            .filter(|number| (self.least..=self.most).contains(number))
            .ok_or_else(|| self.wrong(part))
    }

    /// Numbers of a part without letters of its own: `*`, `5`, `1-5`, `*/15`, `0-30/10`.
    fn numbers(&self, part: &str) -> Result<Vec<u16>, Invalid> {
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => {
                let step = step.parse().ok().filter(|step| *step > 0);
                (range, step.ok_or_else(|| self.wrong(part))?)
            }
            None => (part, 1_usize),
        };
        let (first, last) = match range.split_once('-') {
            Some((first, last)) => (self.number(first)?, self.number(last)?),
            None if range == "*" => (self.least, self.most),
            None if part.contains('/') => (self.number(range)?, self.most),
            None => (self.number(range)?, self.number(range)?),
        };
        if first <= last {
            return Ok((first..=last).step_by(step).collect());
        }
        // FRI-MON goes over the end.
        let around = (first..=self.most).chain(self.least..=last);
        Ok(around.step_by(step).collect())
    }

    fn list(&self) -> Result<Vec<u16>, Invalid> {
        let mut all = Vec::new();
        for part in self.text.split(',') {
            all.extend(self.numbers(part)?);
        }
        all.sort_unstable();
        all.dedup();
        Ok(all)
    }
}

impl Cron {
    pub(super) fn parse(text: &str) -> Result<Self, Invalid> {
        let fields: Vec<&str> = text.split_whitespace().collect();
        let [minute, hour, day, month, weekday, year] = fields[..] else {
            return Err(unreadable(format!(
                "cron({text}) has {} fields; expected six: minute, hour, day of month, month, day of week, year",
                fields.len()
            )));
        };
        if (day == "?") == (weekday == "?") {
            return Err(unreadable(format!(
                "cron({text}) has {day} for the day of month and {weekday} for the day of week; expected ? for one of them, and not for both"
            )));
        }
        let field = |name, text, least, most, names| Field {
            name,
            text,
            least,
            most,
            names,
        };
        let days = field("day of month", day, 1, 31, &[]);
        let weekdays = field("day of week", weekday, 1, 7, &WEEKDAYS);
        Ok(Self {
            minutes: field("minute", minute, 0, 59, &[]).list()?,
            hours: field("hour", hour, 0, 23, &[]).list()?,
            days: match day {
                "?" => Vec::new(),
                _ => days_of_month(&days)?,
            },
            months: field("month", month, 1, 12, &MONTHS).list()?,
            weekdays: match weekday {
                "?" => Vec::new(),
                _ => days_of_week(&weekdays)?,
            },
            years: field("year", year, YEARS.0, YEARS.1, &[]).list()?,
        })
    }

    /// Minutes of a day that match.
    pub(super) fn minutes_of_a_day(&self) -> impl Iterator<Item = u16> + '_ {
        let of_hour = |hour: &u16| {
            let hour = *hour;
            self.minutes.iter().map(move |minute| 60 * hour + minute)
        };
        self.hours.iter().flat_map(of_hour)
    }

    /// The first day from this one on that matches.
    pub(super) fn from(&self, first: Date) -> Option<Date> {
        let mut day = first.max(date(YEARS.0 as i16, 1, 1));
        while day.year() <= YEARS.1 as i16 {
            if self.years.binary_search(&(day.year() as u16)).is_err() {
                day = date(day.year(), 12, 31).tomorrow().ok()?;
            } else if self.months.binary_search(&(day.month() as u16)).is_err() {
                day = day.last_of_month().tomorrow().ok()?;
            } else if self.is_day(day) {
                return Some(day);
            } else {
                day = day.tomorrow().ok()?;
            }
        }
        None
    }

    fn is_day(&self, day: Date) -> bool {
        let number = day.day() as u16;
        let last = day.last_of_month();
        let by_month = self.days.iter().any(|wanted| match *wanted {
            DayOfMonth::Number(wanted) => number == wanted,
            DayOfMonth::Last => day == last,
            DayOfMonth::NearestWeekday(wanted) => {
                (wanted as i8) <= last.day() && nearest_weekday(day, wanted as i8) == Some(day)
            }
        });
        let weekday = day.weekday().to_sunday_one_offset() as u16;
        let by_week = self.weekdays.iter().any(|wanted| match *wanted {
            DayOfWeek::Every(wanted) => weekday == wanted,
            DayOfWeek::Nth(wanted, nth) => weekday == wanted && (number - 1) / 7 + 1 == nth,
            DayOfWeek::Last(wanted) => weekday == wanted && number + 7 > last.day() as u16,
        });
        by_month || by_week
    }
}

/// The day from Monday to Friday of this month that is nearest to the day of this number.
fn nearest_weekday(month: Date, number: i8) -> Option<Date> {
    let wanted = date(month.year(), month.month(), number);
    let last = month.last_of_month().day();
    let moved = match wanted.weekday() {
        Weekday::Saturday if number == 1 => number + 2,
        Weekday::Saturday => number - 1,
        Weekday::Sunday if number == last => number - 2,
        Weekday::Sunday => number + 1,
        _ => number,
    };
    Some(date(month.year(), month.month(), moved))
}

fn days_of_month(field: &Field<'_>) -> Result<Vec<DayOfMonth>, Invalid> {
    let mut days = Vec::new();
    for part in field.text.split(',') {
        match part.strip_suffix(['W', 'w']) {
            Some(day) => days.push(DayOfMonth::NearestWeekday(field.number(day)?)),
            None if part.eq_ignore_ascii_case("L") => days.push(DayOfMonth::Last),
            None => days.extend(field.numbers(part)?.into_iter().map(DayOfMonth::Number)),
        }
    }
    Ok(days)
}

fn days_of_week(field: &Field<'_>) -> Result<Vec<DayOfWeek>, Invalid> {
    let mut days = Vec::new();
    for part in field.text.split(',') {
        if let Some((day, nth)) = part.split_once('#') {
            let nth = nth.parse().ok().filter(|nth| (1..=5).contains(nth));
            let nth = nth.ok_or_else(|| field.wrong(part))?;
            days.push(DayOfWeek::Nth(field.number(day)?, nth));
        } else if part.eq_ignore_ascii_case("L") {
            days.push(DayOfWeek::Every(7));
        } else if let Some(day) = part.strip_suffix(['L', 'l']) {
            days.push(DayOfWeek::Last(field.number(day)?));
        } else {
            days.extend(field.numbers(part)?.into_iter().map(DayOfWeek::Every));
        }
    }
    Ok(days)
}
