//! The report in the terminal, and as CSV.

use scaling::fleet::Mode;
use scaling::study::{Keeps, Order, Report, Spread, Study};

use super::time;
use super::traffic::Survey;

/// A number with as many digits as it deserves.
pub(super) fn number(value: f64) -> String {
    match value.abs() {
        size if size < 0.0005 => "0".to_owned(),
        size if size < 0.1 => format!("{value:.3}"),
        size if size < 10.0 => format!("{value:.2}"),
        size if size < 100.0 => format!("{value:.1}"),
        _ => thousands(value),
    }
}

/// A whole number in groups of three.
pub(super) fn thousands(value: f64) -> String {
    let digits = format!("{:.0}", value.abs());
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    match value < 0.0 {
        true => format!("-{text}"),
        false => text,
    }
}

/// The mean, and in brackets from the least to the most.
pub(super) fn spread(spread: &Spread) -> String {
    let (least, most) = (number(spread.least), number(spread.most));
    match least == most {
        true => number(spread.mean),
        false => format!("{} [{least}–{most}]", number(spread.mean)),
    }
}

pub(super) fn keeps(keeps: Keeps) -> &'static str {
    match keeps {
        Keeps::Yes => "yes",
        Keeps::Unsure => "unsure",
        Keeps::No => "no",
    }
}

/// What was simulated, in lines of a name and a text.
pub(super) fn facts(
    study: &Study,
    survey: &Survey,
    report: &Report,
) -> Vec<(&'static str, String)> {
    let profile = &study.workload.profile;
    let scale = match study.workload.scale {
        1.0 => String::new(),
        scale => format!(", times {scale}"),
    };
    let most = number(survey.most_per_sec);
    let trace = match survey.kind {
        scaling::trace::Kind::Clients => format!(
            "{}: up to {most} callers over {}",
            survey.name,
            time(survey.secs as u64)
        ),
        _ => format!(
            "{}: {} requests over {}, {} a second on average, {most} at most{scale}",
            survey.name,
            thousands(survey.requests),
            time(survey.secs as u64),
            number(survey.requests / survey.secs.max(1e-9)),
        ),
    };
    let instance = format!(
        "{} slots, {} more may wait; answers {} requests a second as promised",
        profile.slots,
        thousands(f64::from(profile.queue_limit)),
        number(report.rate)
    );
    let how = match report.mode {
        Mode::Requests => "request by request",
        Mode::Fluid => "as a flow",
    };
    let runs = report
        .candidates
        .first()
        .map_or(0, |first| first.runs.len());
    let slo = report.slo;
    vec![
        ("trace", trace),
        ("instance", instance),
        (
            "promise",
            format!(
                "{} % of requests within {} ms",
                slo.percent,
                number(slo.latency_ms)
            ),
        ),
        (
            "runs",
            format!(
                "{runs} of each, {how}: {} points of a minute × {} seeds",
                study.phases.len(),
                study.seeds.len()
            ),
        ),
    ]
}

/// The columns of the table, and its rows.
pub(super) fn cells(report: &Report) -> (Vec<&'static str>, Vec<Vec<String>>) {
    let mut header = vec![
        "",
        "configuration",
        "keeps it",
        "missed %",
        "shed %",
        "p50 ms",
        "p99 ms",
        "instance-hours",
    ];
    if report.price.is_some() {
        header.push("dollars");
    }
    header.extend(["actions", "flaps", "longest break"]);
    let row = |(at, one): (usize, &scaling::study::Candidate)| {
        let place = match one.order {
            Order::Insignificant => "=".to_owned(),
            _ => (at + 1).to_string(),
        };
        let mut cells = vec![
            place,
            one.name.clone(),
            keeps(one.keeps).to_owned(),
            spread(&one.missed_percent),
            spread(&one.shed_percent),
            number(one.p50_ms.mean),
            number(one.p99_ms.mean),
            spread(&one.instance_hours),
        ];
        cells.extend(one.cost.as_ref().map(spread));
        cells.extend([
            number(one.actions.mean),
            number(one.flaps.mean),
            time(one.longest_break_secs.mean as u64),
        ]);
        cells
    };
    (
        header,
        report.candidates.iter().enumerate().map(row).collect(),
    )
}

/// How closely supply followed demand: the columns, and the rows.
pub(super) fn elasticity(report: &Report) -> (Vec<&'static str>, Vec<Vec<String>>) {
    let header = vec![
        "configuration",
        "too few %",
        "too many %",
        "time too few %",
        "time too many %",
        "instability %",
        "at most",
    ];
    let row = |one: &scaling::study::Candidate| {
        let mean = |of: fn(&scaling::study::RunOf) -> f64| {
            number(one.runs.iter().map(of).sum::<f64>() / (one.runs.len() as f64).max(1.0))
        };
        vec![
            one.name.clone(),
            mean(|run| run.outcome.elasticity.under_percent),
            mean(|run| run.outcome.elasticity.over_percent),
            mean(|run| run.outcome.elasticity.under_time_percent),
            mean(|run| run.outcome.elasticity.over_time_percent),
            mean(|run| run.outcome.elasticity.instability_percent),
            mean(|run| run.outcome.most_instances),
        ]
    };
    (header, report.candidates.iter().map(row).collect())
}

/// What follows, in sentences.
pub(super) fn sentences(report: &Report) -> Vec<String> {
    let mut said = Vec::new();
    let Some(first) = report.candidates.first() else {
        return said;
    };
    let name = &first.name;
    said.push(match first.keeps {
        Keeps::Yes => format!("{name} keeps the promise at the least cost."),
        Keeps::Unsure => format!(
            "{name} is first, but the runs differ too much to say that it keeps the promise."
        ),
        Keeps::No => format!("None keeps the promise; {name} misses least."),
    });
    let equal: Vec<&str> = report
        .candidates
        .iter()
        .filter(|one| one.order == Order::Insignificant)
        .map(|one| one.name.as_str())
        .collect();
    if !equal.is_empty() {
        said.push(format!(
            "Not significantly behind the one above (=): {}.",
            equal.join(", ")
        ));
    }
    if report.candidates.len() > 1 {
        let changing: Vec<String> = report
            .sensitivity
            .iter()
            .filter(|one| one.changes)
            .map(|one| {
                format!(
                    "{} = {} ({} is first then)",
                    one.switch.option, one.switch.value, one.first
                )
            })
            .collect();
        said.push(match changing.is_empty() {
            true => format!(
                "No unconfirmed rule or delay, turned round, changes who is first ({} tried).",
                report.sensitivity.len()
            ),
            false => format!("Another would be first with {}.", changing.join("; ")),
        });
    }
    said
}

/// Cells in columns.
fn aligned(header: &[&str], rows: &[Vec<String>]) -> Vec<String> {
    let width = |at: usize| {
        let cells = rows.iter().map(|row| row[at].chars().count());
        cells.chain([header[at].chars().count()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..header.len()).map(width).collect();
    let line = |cells: Vec<&str>| {
        let padded = cells.iter().zip(&widths).map(|(cell, width)| {
            let pad = " ".repeat(width - cell.chars().count());
            format!("{cell}{pad}")
        });
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    let body = rows
        .iter()
        .map(|row| line(row.iter().map(String::as_str).collect()));
    std::iter::once(line(header.to_vec())).chain(body).collect()
}

/// The report for a terminal.
pub(super) fn lines(study: &Study, survey: &Survey, report: &Report) -> Vec<String> {
    let mut lines = Vec::new();
    for (name, text) in facts(study, survey, report) {
        lines.push(format!("{name:<9} {text}"));
    }
    lines.push(String::new());
    let (header, rows) = cells(report);
    lines.extend(aligned(&header, &rows));
    lines.push(String::new());
    let (header, rows) = elasticity(report);
    lines.extend(aligned(&header, &rows));
    lines.push(String::new());
    lines.extend(sentences(report));
    lines
}

/// Every run, a line each.
pub(super) fn csv(report: &Report) -> String {
    let mut text = "configuration,phase,seed,requests,missed_percent,shed_percent,failed_percent,p50_ms,p99_ms,instance_hours,most_instances,actions,flaps,under_percent,over_percent,under_time_percent,over_time_percent,instability_percent,breaks,longest_break_secs,mean_break_secs\n".to_owned();
    for one in &report.candidates {
        for run in &one.runs {
            let it = &run.outcome;
            let elasticity = &it.elasticity;
            let figures = [
                it.requests,
                it.missed_percent,
                it.shed_percent,
                it.failed_percent,
                it.p50_ms,
                it.p99_ms,
                it.instance_hours,
                it.most_instances,
                f64::from(it.actions),
                f64::from(it.flaps),
                elasticity.under_percent,
                elasticity.over_percent,
                elasticity.under_time_percent,
                elasticity.over_time_percent,
                elasticity.instability_percent,
                f64::from(it.breaks),
                it.longest_break_secs as f64,
                it.mean_break_secs,
            ];
            let figures: Vec<String> = figures.iter().map(f64::to_string).collect();
            let name = one.name.replace('"', "\"\"");
            text.push_str(&format!(
                "\"{name}\",{},{},{}\n",
                run.phase,
                run.seed,
                figures.join(",")
            ));
        }
    }
    text
}
