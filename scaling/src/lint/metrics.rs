//! Whether the metrics that are named are there: name, namespace, dimensions, unit, statistic.

use crate::catalogue::{Kind, Metric};
use crate::document::Node;
use crate::known::{self, Known, AWS, INSTANCES};
use crate::policy::Scalable;

use super::rules::{
    DIMENSIONS, NAMESPACE, NORMALIZED, OTEL, OTHER_ENDPOINT, PER_INSTANCE, SPARSE_MATH, UNIT,
    UNKNOWN_METRIC, WRONG_STATISTIC,
};
use super::view::{self, target_of, Used, View, TRACKING};
use super::Findings;

/// Dimensions that name one machine.
const MACHINES: [&str; 3] = ["InstanceId", "ContainerId", "AcceleratorId"];

pub(super) fn check(view: &View<'_>, found: &mut Findings) {
    for used in view.used() {
        let Some(known) = used.known else {
            unknown(used, found);
            continue;
        };
        dimensions(used, &known, found);
        unit(used, &known, found);
        statistic(used, &known, found);
    }
    for policy in &view.policies {
        let view::Kind::Tracking { node, used, .. } = &policy.kind else {
            continue;
        };
        for used in used {
            if policy.scalable == Some(Scalable::Instances) {
                normalized(used, found);
            }
            other_endpoint(view, used, found);
        }
        sparse(node.get("CustomizedMetricSpecification"), used, found);
    }
    for alarm in &view.alarms {
        for used in alarm.used.iter().filter(|_| alarm.scales) {
            other_endpoint(view, used, found);
        }
    }
}

fn inside(used: &Used<'_>, name: &str) -> String {
    match used.path.is_empty() {
        true => name.to_owned(),
        false => format!("{}.{name}", used.path),
    }
}

/// What the metric's own members are inside of: `MetricStat.Metric` in metric math.
fn of_metric(used: &Used<'_>, name: &str) -> String {
    match used.id {
        Some(_) => inside(used, &format!("Metric.{name}")),
        None => inside(used, name),
    }
}

fn unknown(used: &Used<'_>, found: &mut Findings) {
    let (Some(namespace), Some(name)) = (used.namespace.as_text(), used.name.as_text()) else {
        return;
    };
    let is_prometheus = name.starts_with("plimsoll_")
        || name.starts_with("DCGM_FI_")
        || name.contains(':') && !name.contains(' ');
    if is_prometheus {
        let message = format!(
            "{name:?} is asked for by PromQL; no alarm of Application Auto Scaling sees it"
        );
        return found.add(
            OTEL,
            used.item,
            &of_metric(used, "MetricName"),
            used.name,
            message,
        );
    }
    if known::is_aws(namespace) {
        let elsewhere: Vec<&str> = AWS
            .iter()
            .filter(|known| known.name == name)
            .filter_map(|known| known.namespace)
            .collect();
        if !elsewhere.is_empty() {
            let message = format!(
                "{name} is not in {namespace:?}; expected {}",
                elsewhere.join(" or ")
            );
            let path = of_metric(used, "Namespace");
            return found.add(NAMESPACE, used.item, &path, used.namespace, message);
        }
        let namespaces = [known::REQUESTS, INSTANCES, known::COMPONENTS];
        let same = namespaces
            .iter()
            .find(|known| known.eq_ignore_ascii_case(namespace));
        if let Some(same) = same.filter(|same| **same != namespace) {
            let message = format!("{namespace:?}; expected {same:?}: names are case-sensitive");
            let path = of_metric(used, "Namespace");
            return found.add(NAMESPACE, used.item, &path, used.namespace, message);
        }
        if namespaces.contains(&namespace) {
            let names = AWS
                .iter()
                .filter(|known| known.namespace == Some(namespace));
            let names: Vec<&str> = names.map(|known| known.name).collect();
            // The list is not all of AWS's: only a policy needs one that is known.
            let is_near = names.iter().any(|known| known.eq_ignore_ascii_case(name));
            if is_near || used.path.starts_with(TRACKING) {
                misspelt(used, name, &names, found);
            }
            return;
        }
        // Another service's.
        return;
    }
    // A namespace of one's own may hold anything; ours is known by its name, or its dimensions.
    let dimensions = used.dimension_names();
    let is_ours = namespace.eq_ignore_ascii_case("plimsoll");
    let names: Vec<&str> = Metric::ALL.iter().map(|metric| metric.name()).collect();
    let embedded = Metric::ALL.iter().any(|metric| {
        let suffixes = metric.kind().embedded().iter();
        suffixes
            .map(|suffix| format!("{}{suffix}", metric.name()))
            .any(|full| full == name)
    });
    if is_ours && !embedded {
        return misspelt(used, name, &names, found);
    }
    let looks_ours = known::OURS.contains(&dimensions.as_slice());
    let is_near = names.iter().any(|known| known.eq_ignore_ascii_case(name));
    if looks_ours && is_near {
        misspelt(used, name, &names, found);
    }
}

fn misspelt(used: &Used<'_>, name: &str, names: &[&str], found: &mut Findings) {
    let near = names.iter().find(|known| known.eq_ignore_ascii_case(name));
    let message = match near {
        Some(near) => format!("{name:?} is published as {near:?}: names are case-sensitive"),
        None => format!(
            "{name:?} is not in {:?}; expected one of {}",
            used.namespace.as_text().unwrap_or_default(),
            names.join(", ")
        ),
    };
    let path = of_metric(used, "MetricName");
    found.add(UNKNOWN_METRIC, used.item, &path, used.name, message);
}

fn dimensions(used: &Used<'_>, known: &Known, found: &mut Findings) {
    let names = used.dimension_names();
    let all_known = used
        .dimensions
        .list()
        .iter()
        .all(|dimension| dimension.get("Name").as_text().is_some());
    if !all_known {
        return;
    }
    let path = of_metric(used, "Dimensions");
    let node = if used.dimensions.is_some() {
        used.dimensions
    } else {
        used.node
    };
    if let Some(machine) = names.iter().find(|name| MACHINES.contains(name)) {
        let message = format!("{machine} makes it the metric of one machine");
        return found.add(PER_INSTANCE, used.item, &path, node, message);
    }
    let is_published = known.dimensions.iter().any(|set| {
        let mut set = set.to_vec();
        set.sort_unstable();
        set == names
    });
    if !is_published {
        let sets: Vec<String> = known
            .dimensions
            .iter()
            .map(|set| set.join(" and "))
            .collect();
        let given = match names.is_empty() {
            true => "no dimensions".to_owned(),
            false => names.join(" and "),
        };
        let message = format!(
            "{} has {given}; it is published with {}",
            known.name,
            sets.join(", or with ")
        );
        found.add(DIMENSIONS, used.item, &path, node, message);
    }
}

fn unit(used: &Used<'_>, known: &Known, found: &mut Findings) {
    let Some(unit) = used.unit.as_text() else {
        return;
    };
    if unit != known.unit {
        let message = format!(
            "{} is published in {}, not in {unit}; CloudWatch finds nothing",
            known.name, known.unit
        );
        found.add(UNIT, used.item, &inside(used, "Unit"), used.unit, message);
    }
}

/// Whether it is a statistic of a distribution: `p99`, `tm90`, `TM(10%:90%)`, `IQM`.
fn is_extended(stat: &str) -> bool {
    let lower = stat.to_ascii_lowercase();
    let kinds = ["pr", "tm", "wm", "tc", "ts", "p"];
    let rest = kinds.iter().find_map(|kind| lower.strip_prefix(kind));
    lower == "iqm"
        || rest.is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit() || c == '('))
}

fn statistic(used: &Used<'_>, known: &Known, found: &mut Findings) {
    let Some(stat) = used.stat.as_text() else {
        return;
    };
    // Metric math divides sums by counts.
    let is_ten_seconds = known.namespace.is_some() && known.resolution < 60;
    let is_math = used.id.is_some() && matches!(stat, "SampleCount" | "Sum") && !is_ten_seconds;
    // Ours leave as values and counts, but for levels and counters.
    let is_raw = known.namespace.is_none()
        && Metric::ALL.iter().any(|metric| {
            metric.name() == known.name && !matches!(metric.kind(), Kind::Level | Kind::Counter)
        });
    let is_known = known.statistics.is_empty() || known.statistics.contains(&stat);
    if is_known || is_math || is_raw && is_extended(stat) {
        return;
    }
    let message = format!(
        "{stat} of {} means nothing; expected {}",
        known.name,
        known.statistics.join(" or ")
    );
    let member = match used.id {
        Some(_) => "Stat",
        None if used.node.get("ExtendedStatistic").is_some() => "ExtendedStatistic",
        None => "Statistic",
    };
    let path = inside(used, member);
    found.add(WRONG_STATISTIC, used.item, &path, used.stat, message);
}

fn normalized(used: &Used<'_>, found: &mut Findings) {
    let Some(known) = used.known else { return };
    if known.namespace == Some(INSTANCES) && known.name.ends_with("Normalized") {
        let message = format!(
            "{} is there only where the endpoint hosts inference components",
            known.name
        );
        let path = of_metric(used, "MetricName");
        found.add(NORMALIZED, used.item, &path, used.name, message);
    }
}

/// Names in the dimensions against those of the target.
fn other_endpoint(view: &View<'_>, used: &Used<'_>, found: &mut Findings) {
    let target = view
        .policies
        .iter()
        .find(|policy| std::ptr::eq(policy.item, used.item))
        .and_then(|policy| policy.target)
        .or_else(|| {
            let alarm = view
                .alarms
                .iter()
                .find(|alarm| std::ptr::eq(alarm.item, used.item));
            alarm
                .and_then(|alarm| alarm.calls.first())
                .and_then(|policy| target_of(view.documents, policy))
        });
    let own = |name: &str| -> Option<&Node> {
        let node = used.item.node.get(name);
        node.is_some().then_some(node)
    };
    let resource = own("ResourceId").or_else(|| target.map(|target| target.node.get("ResourceId")));
    let Some(resource) = resource.and_then(Node::as_text) else {
        return;
    };
    let parts: Vec<&str> = resource.split('/').collect();
    let names: &[(&str, &str)] = match parts[..] {
        ["endpoint", endpoint, "variant", variant] => {
            &[("EndpointName", endpoint), ("VariantName", variant)]
        }
        ["inference-component", name] => &[("InferenceComponentName", name)],
        _ => return,
    };
    for (dimension, expected) in names {
        let Some(value) = used.dimension(dimension) else {
            continue;
        };
        if let Some(given) = value.as_text().filter(|given| given != expected) {
            let message = format!("{dimension} {given:?}; the target is {resource:?}");
            let path = of_metric(used, "Dimensions");
            found.add(OTHER_ENDPOINT, used.item, &path, value, message);
        }
    }
}

/// Metrics that are there only while something happens.
fn sparse(customized: &Node, used: &[Used<'_>], found: &mut Findings) {
    for query in customized.get("Metrics").list() {
        let Some(expression) = query.get("Expression").as_text() else {
            continue;
        };
        for used in used {
            let (Some(id), Some(known)) = (used.id, used.known) else {
                continue;
            };
            let has_gaps = known.namespace == Some(known::REQUESTS)
                || Metric::ALL.iter().any(|metric| {
                    metric.name() == known.name
                        && metric.kind() == Kind::Distribution
                        && known.namespace.is_none()
                });
            let named = words(expression).any(|word| word == id);
            let filled: String = expression.split_whitespace().collect();
            if has_gaps && named && !filled.contains(&format!("FILL({id},")) {
                let message = format!(
                    "{id} ({}) is missing while there are no requests; expected FILL({id}, 0)",
                    known.name
                );
                found.add(SPARSE_MATH, used.item, &used.path, query, message);
            }
        }
    }
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric() && c != '_')
}
