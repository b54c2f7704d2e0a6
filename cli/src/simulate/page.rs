//! The report as one page that needs nothing else.

use std::fmt::Write as _;

use scaling::fleet::Shown;
use scaling::study::{Report, Study};

use super::traffic::Survey;
use super::{pictures, sentence, table, time};

/// So many configurations have pictures.
const MOST_PICTURED: usize = 6;
/// So many changes of capacity are listed for each.
const MOST_LISTED: usize = 40;

const STYLE: &str = "
body{font:15px/1.5 system-ui,sans-serif;max-width:1000px;margin:2rem auto;padding:0 1rem;background:var(--paper);color:var(--ink)}
h1{font-size:1.5rem}h2{font-size:1.2rem;margin-top:2.2rem}h3{font-size:1rem;margin:1.2rem 0 .2rem}
table{border-collapse:collapse;width:100%;font-size:.86rem;font-variant-numeric:tabular-nums}
th,td{text-align:left;padding:.3rem .5rem;border-bottom:1px solid var(--grid);vertical-align:top}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.2rem 1rem}dt{font-weight:600}dd{margin:0}
svg{width:100%;height:auto;display:block}.scroll{overflow-x:auto}
.key{display:inline-block;margin-right:1.2rem;font-size:.86rem}.key i{display:inline-block;width:.9rem;height:.6rem;margin-right:.35rem}
summary{cursor:pointer;margin-top:.6rem}
";

/// Text that may hold anything.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            c => out.push(c),
        }
    }
    out
}

/// The colours in the light and in the dark, and what wears them.
fn colours() -> String {
    let named = |of: fn(
        &(
            plotters::style::RGBColor,
            &'static str,
            &'static str,
            &'static str,
        ),
    ) -> &'static str| {
        let each = pictures::COLOURS
            .iter()
            .map(|colour| format!("--{}:{};", colour.1, of(colour)));
        each.collect::<String>()
    };
    let mut css = format!(
        ":root{{color-scheme:light dark;--paper:#ffffff;{}}}\n@media (prefers-color-scheme:dark){{:root{{--paper:#15191e;{}}}}}\n",
        named(|colour| colour.2),
        named(|colour| colour.3)
    );
    for (colour, name, ..) in pictures::COLOURS {
        let written = pictures::written(colour);
        writeln!(css, "svg [fill=\"{written}\"]{{fill:var(--{name})}}svg [stroke=\"{written}\"]{{stroke:var(--{name})}}").ok();
    }
    css
}

fn html_table(header: &[&str], rows: &[Vec<String>]) -> String {
    let mut html = "<div class=\"scroll\"><table><thead><tr>".to_owned();
    for cell in header {
        write!(html, "<th>{}</th>", escaped(cell)).ok();
    }
    html.push_str("</tr></thead><tbody>\n");
    for (at, row) in rows.iter().enumerate() {
        html.push_str(if at == 0 {
            "<tr class=\"best\">"
        } else {
            "<tr>"
        });
        for cell in row {
            write!(html, "<td>{}</td>", escaped(cell)).ok();
        }
        html.push_str("</tr>\n");
    }
    html.push_str("</tbody></table></div>\n");
    html
}

/// The page.
///
/// # Errors
/// A picture that cannot be drawn.
pub(super) fn html(
    study: &Study,
    survey: &Survey,
    report: &Report,
    shown: &[Shown],
) -> Result<String, String> {
    let mut html = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\"><title>What would have happened</title><style>{}{STYLE}</style></head><body>\n<h1>What would have happened</h1>\n<dl>",
        colours()
    );
    for (name, text) in table::facts(study, survey, report) {
        write!(html, "<dt>{name}</dt><dd>{}</dd>", escaped(&text)).ok();
    }
    html.push_str("</dl>\n");
    for sentence in table::sentences(report) {
        write!(html, "<p>{}</p>", escaped(&sentence)).ok();
    }
    html.push_str("<h2>Configurations</h2>\n");
    let (header, rows) = table::cells(report);
    html.push_str(&html_table(&header, &rows));
    html.push_str("<p>Mean of all runs, and in brackets from the least to the most. <b>=</b>: not significantly behind the one above.</p>\n<h2>Supply and demand</h2>\n");
    let (header, rows) = table::elasticity(report);
    html.push_str(&html_table(&header, &rows));
    for candidate in report.candidates.iter().take(MOST_PICTURED) {
        let at = study
            .configurations
            .iter()
            .position(|one| one.name == candidate.name);
        let Some(shown) = at.and_then(|at| shown.get(at)) else {
            continue;
        };
        write!(
            html,
            "<h2>{}</h2>\n<p>Its first run.</p>\n",
            escaped(&candidate.name)
        )
        .ok();
        for picture in pictures::all(shown, &study.workload.slo)? {
            writeln!(
                html,
                "<h3>{}</h3>\n<figure style=\"margin:0\">{}<figcaption>",
                picture.title, picture.svg
            )
            .ok();
            for (name, meaning) in picture.legend {
                write!(html, "<span class=\"key\"><i style=\"background:var(--{name})\"></i>{meaning}</span>").ok();
            }
            html.push_str("</figcaption></figure>\n");
        }
        html.push_str(&listed(shown));
    }
    if !report.sensitivity.is_empty() {
        html.push_str("<h2>What nobody has confirmed</h2>\n");
        let rows: Vec<Vec<String>> = report
            .sensitivity
            .iter()
            .map(|one| {
                let value = one.switch.value.to_string();
                vec![
                    format!("{} = {}", one.switch.option, value.trim_matches('"')),
                    one.first.clone(),
                    if one.changes { "yes" } else { "no" }.to_owned(),
                ]
            })
            .collect();
        html.push_str(&html_table(
            &["turned round", "first then", "another one"],
            &rows,
        ));
    }
    html.push_str("</body></html>\n");
    Ok(html)
}

/// The first changes of capacity.
fn listed(shown: &Shown) -> String {
    let is_capacity = |event: &&scaling::simulate::Event| {
        matches!(event.what, scaling::simulate::What::Capacity { .. })
    };
    let all: Vec<_> = shown.events.iter().filter(is_capacity).collect();
    let mut html = format!(
        "<details><summary>{} changes of capacity</summary><ul>",
        all.len()
    );
    for event in all.iter().take(MOST_LISTED) {
        write!(
            html,
            "<li>{} {}</li>",
            time(event.t),
            escaped(&sentence(&event.what))
        )
        .ok();
    }
    if all.len() > MOST_LISTED {
        write!(html, "<li>and {} more</li>", all.len() - MOST_LISTED).ok();
    }
    html.push_str("</ul></details>\n");
    html
}
