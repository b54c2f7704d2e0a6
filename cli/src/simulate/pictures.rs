//! Pictures of a run, as SVG.
//!
//! A colour here is a name: the page's style sheet gives each its colour in the light and in the dark.

use plotters::coord::ranged1d::{Ranged, ValueFormatter};
use plotters::coord::types::RangedCoordf64;
use plotters::coord::Shift;
use plotters::prelude::*;
use scaling::fleet::{Shown, Slo};
use scaling::simulate::{State, What};

/// Text and axes.
const INK: RGBColor = RGBColor(1, 1, 1);
const GRID: RGBColor = RGBColor(2, 2, 2);
const TRAFFIC: RGBColor = RGBColor(3, 3, 3);
const INSTANCES: RGBColor = RGBColor(4, 4, 4);
const NEEDED: RGBColor = RGBColor(5, 5, 5);
const MEDIAN: RGBColor = RGBColor(6, 6, 6);
const TAIL: RGBColor = RGBColor(7, 7, 7);
const PROMISE: RGBColor = RGBColor(8, 8, 8);
const QUEUE: RGBColor = RGBColor(9, 9, 9);
const ALARM: RGBColor = RGBColor(10, 10, 10);
const NO_DATA: RGBColor = RGBColor(11, 11, 11);

/// What each colour is called in the style sheet, with its colour in the light and in the dark.
pub(super) const COLOURS: [(RGBColor, &str, &str, &str); 11] = [
    (INK, "ink", "#24292f", "#d7dde4"),
    (GRID, "grid", "#d9dee3", "#363d45"),
    (TRAFFIC, "traffic", "#7a9cc6", "#5d83b3"),
    (INSTANCES, "instances", "#c2410c", "#fb923c"),
    (NEEDED, "needed", "#15803d", "#4ade80"),
    (MEDIAN, "median", "#2563eb", "#60a5fa"),
    (TAIL, "tail", "#9333ea", "#c084fc"),
    (PROMISE, "promise", "#dc2626", "#f87171"),
    (QUEUE, "queue", "#0f766e", "#2dd4bf"),
    (ALARM, "alarm", "#dc2626", "#f87171"),
    (NO_DATA, "no-data", "#a8a29e", "#78716c"),
];

/// The colour as the SVG has it.
pub(super) fn written(colour: RGBColor) -> String {
    format!("#{:02X}{:02X}{:02X}", colour.0, colour.1, colour.2)
}

const WIDTH: u32 = 960;
const LABEL: u32 = 13;

type Failed = Box<dyn std::error::Error>;
type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// A picture, its legend (name in the style sheet, meaning) and what it is for those who do not see it.
pub(super) struct Picture {
    pub(super) svg: String,
    pub(super) legend: &'static [(&'static str, &'static str)],
    pub(super) title: &'static str,
}

/// All pictures of a run.
pub(super) fn all(shown: &Shown, slo: &Slo) -> Result<Vec<Picture>, String> {
    let pictures = [
        drawn(
            300,
            "Traffic and instances",
            &[
                ("traffic", "requests a second"),
                ("instances", "instances in service"),
                ("needed", "least that would have done"),
            ],
            |area| traffic(area, shown),
        ),
        drawn(
            220,
            "Latency",
            &[("median", "p50"), ("tail", "p99"), ("promise", "promised")],
            |area| latency(area, shown, slo),
        ),
        drawn(
            160,
            "Queue",
            &[("queue", "most requests that waited in one instance")],
            |area| queue(area, shown),
        ),
        drawn(
            alarms_height(shown),
            "Alarms",
            &[("alarm", "ALARM"), ("no-data", "INSUFFICIENT_DATA")],
            |area| alarms(area, shown),
        ),
    ];
    pictures.into_iter().collect()
}

fn drawn(
    height: u32,
    title: &'static str,
    legend: &'static [(&'static str, &'static str)],
    draw: impl FnOnce(&Area<'_>) -> Result<(), Failed>,
) -> Result<Picture, String> {
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, (WIDTH, height)).into_drawing_area();
        draw(&area).map_err(|error| format!("the picture {title:?} cannot be drawn: {error}"))?;
        area.present().map_err(|error| error.to_string())?;
    }
    let labelled = format!("<svg role=\"img\" aria-label=\"{title}\" ");
    Ok(Picture {
        svg: svg.replacen("<svg ", &labelled, 1),
        legend,
        title,
    })
}

/// Hours from the beginning.
fn hours(shown: &Shown, at: usize) -> f64 {
    at as f64 * shown.timeline.step_secs as f64 / 3600.0
}

fn end(shown: &Shown) -> f64 {
    let whole = shown.timeline.points.len().saturating_sub(1);
    hours(shown, whole) + shown.timeline.filled as f64 / 3600.0
}

/// Seconds in a step: the last one may be shorter.
fn secs(shown: &Shown, at: usize) -> f64 {
    let timeline = &shown.timeline;
    match at + 1 == timeline.points.len() {
        true => timeline.filled as f64,
        false => timeline.step_secs as f64,
    }
}

fn clock(hours: &f64) -> String {
    let minutes = (hours * 60.0).round() as u64;
    format!("{}:{:02}", minutes / 60, minutes % 60)
}

/// A number on an axis: no more digits than it needs.
fn plain(value: &f64) -> String {
    match value.abs() {
        size if size >= 1000.0 => super::table::thousands(*value),
        _ => ((value * 1000.0).round() / 1000.0).to_string(),
    }
}

/// The largest of these, and a little more; never 0.
fn top(values: impl Iterator<Item = f64>) -> f64 {
    1.08 * values.fold(f64::MIN_POSITIVE, f64::max).max(1e-3)
}

fn label() -> TextStyle<'static> {
    ("sans-serif", LABEL).into_font().color(&INK)
}

/// Hours below, and this at the left.
fn axes<'a, Y>(
    chart: &mut ChartContext<'a, SVGBackend<'a>, Cartesian2d<RangedCoordf64, Y>>,
    of: &str,
) -> Result<(), Failed>
where
    Y: Ranged<ValueType = f64> + ValueFormatter<f64>,
{
    chart
        .configure_mesh()
        .disable_x_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(GRID)
        .axis_style(INK)
        .label_style(label())
        .x_label_formatter(&clock)
        .y_label_formatter(&plain)
        .y_desc(of)
        .draw()?;
    Ok(())
}

fn traffic(area: &Area<'_>, shown: &Shown) -> Result<(), Failed> {
    let (timeline, end) = (&shown.timeline, end(shown));
    let rates: Vec<f64> = timeline
        .points
        .iter()
        .enumerate()
        .map(|(at, point)| point.felt.arrived / secs(shown, at))
        .collect();
    let series = |of: fn(&scaling::fleet::Point) -> f64| -> Vec<(f64, f64)> {
        let steps = timeline.points.iter().enumerate();
        steps
            .flat_map(|(at, point)| {
                let value = of(point) / secs(shown, at);
                [
                    (hours(shown, at), value),
                    (hours(shown, at + 1).min(end), value),
                ]
            })
            .collect()
    };
    let instances = series(|point| point.instance_secs);
    let needed = series(|point| point.needed_secs);
    let most = top(instances.iter().chain(&needed).map(|point| point.1));
    let mut chart = ChartBuilder::on(area)
        .margin(8)
        .x_label_area_size(32)
        .y_label_area_size(64)
        .right_y_label_area_size(56)
        .build_cartesian_2d(0.0..end, 0.0..top(rates.iter().copied()))?
        .set_secondary_coord(0.0..end, 0.0..most);
    axes(&mut chart, "requests a second")?;
    chart
        .configure_secondary_axes()
        .axis_style(INK)
        .label_style(label())
        .y_label_formatter(&plain)
        .y_desc("instances")
        .draw()?;
    let arrivals = rates
        .iter()
        .enumerate()
        .map(|(at, rate)| (hours(shown, at), *rate));
    chart.draw_series(AreaSeries::new(arrivals, 0.0, TRAFFIC.mix(0.45)))?;
    chart.draw_secondary_series(LineSeries::new(needed, NEEDED.stroke_width(1)))?;
    chart.draw_secondary_series(LineSeries::new(instances, INSTANCES.stroke_width(2)))?;
    Ok(())
}

fn latency(area: &Area<'_>, shown: &Shown, slo: &Slo) -> Result<(), Failed> {
    let of = |quantile: f64| -> Vec<(f64, f64)> {
        let points = shown.timeline.points.iter().enumerate();
        let millis = points.filter_map(|(at, point)| {
            let micros = point.felt.latency.quantile(quantile)?;
            Some((hours(shown, at), micros / 1000.0))
        });
        millis.collect()
    };
    let (median, tail) = (of(0.5), of(0.99));
    let values = || {
        median
            .iter()
            .chain(&tail)
            .map(|point| point.1)
            .chain([slo.latency_ms])
    };
    let (least, most) = (
        values().fold(f64::INFINITY, f64::min).max(1e-3),
        top(values()),
    );
    let mut chart = ChartBuilder::on(area)
        .margin(8)
        .x_label_area_size(32)
        .y_label_area_size(64)
        .margin_right(64)
        .build_cartesian_2d(0.0..end(shown), (0.8 * least..1.2 * most).log_scale())?;
    axes(&mut chart, "milliseconds")?;
    let promised = [(0.0, slo.latency_ms), (end(shown), slo.latency_ms)];
    chart.draw_series(LineSeries::new(promised, PROMISE.stroke_width(1)))?;
    chart.draw_series(LineSeries::new(tail, TAIL.stroke_width(2)))?;
    chart.draw_series(LineSeries::new(median, MEDIAN.stroke_width(2)))?;
    Ok(())
}

fn queue(area: &Area<'_>, shown: &Shown) -> Result<(), Failed> {
    let points = &shown.timeline.points;
    let mut chart = ChartBuilder::on(area)
        .margin(8)
        .x_label_area_size(32)
        .y_label_area_size(64)
        .margin_right(64)
        .build_cartesian_2d(
            0.0..end(shown),
            0.0..top(points.iter().map(|point| point.queue)),
        )?;
    axes(&mut chart, "requests")?;
    let waiting = points
        .iter()
        .enumerate()
        .map(|(at, point)| (hours(shown, at), point.queue));
    chart.draw_series(AreaSeries::new(waiting, 0.0, QUEUE.mix(0.6)))?;
    Ok(())
}

/// Alarms by name, each with its states: from when, which.
fn states(shown: &Shown) -> Vec<(&str, Vec<(f64, State)>)> {
    let mut found: Vec<(&str, Vec<(f64, State)>)> = Vec::new();
    for event in &shown.events {
        let What::Alarm { alarm, state, .. } = &event.what else {
            continue;
        };
        let at = match found.iter().position(|(name, _)| name == alarm) {
            Some(at) => at,
            None => {
                found.push((alarm, vec![(0.0, State::InsufficientData)]));
                found.len() - 1
            }
        };
        found[at].1.push((event.t as f64 / 3600.0, *state));
    }
    found
}

const ALARM_HEIGHT: u32 = 26;

fn alarms_height(shown: &Shown) -> u32 {
    44 + ALARM_HEIGHT * states(shown).len().max(1) as u32
}

fn alarms(area: &Area<'_>, shown: &Shown) -> Result<(), Failed> {
    let (states, end) = (states(shown), end(shown));
    let rows = states.len().max(1) as f64;
    let mut chart = ChartBuilder::on(area)
        .margin(8)
        .margin_left(72)
        .margin_right(64)
        .x_label_area_size(28)
        .build_cartesian_2d(0.0..end, 0.0..rows)?;
    chart
        .configure_mesh()
        .disable_mesh()
        .axis_style(INK)
        .label_style(label())
        .x_label_formatter(&clock)
        .draw()?;
    for (row, (name, changes)) in states.iter().enumerate() {
        let (low, high) = (rows - row as f64 - 0.85, rows - row as f64 - 0.15);
        let ends = changes.iter().skip(1).map(|change| change.0).chain([end]);
        for ((from, state), until) in changes.iter().zip(ends) {
            let colour = match state {
                State::Alarm => ALARM.mix(0.8),
                State::InsufficientData => NO_DATA.mix(0.5),
                State::Ok => GRID.mix(0.6),
            };
            let bar = Rectangle::new([(*from, low), (until, high)], colour.filled());
            chart.draw_series([bar])?;
        }
        let middle = (0.005 * end, rows - row as f64 - 0.25);
        chart.draw_series([Text::new((*name).to_owned(), middle, label())])?;
    }
    Ok(())
}
