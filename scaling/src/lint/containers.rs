//! The Models of a template: what their containers publish, and where.

use crate::document::{Item, Node};
use crate::known;

use super::rules::{ELSEWHERE, HIGH_RESOLUTION, ISOLATED, RESERVED, ROUTING, TWO_MODELS};
use super::view::View;
use super::Findings;

/// A container's environment.
struct Container<'d> {
    item: &'d Item,
    path: String,
    environment: &'d Node,
}

impl Container<'_> {
    fn get(&self, name: &str) -> &Node {
        self.environment.get(name)
    }

    /// The names of the metrics' dimensions; none where it publishes none.
    fn dimensions(&self) -> Option<Vec<(&'static str, &Node)>> {
        let named: Vec<(&'static str, &Node)> = [
            (
                "PLIMSOLL_INFERENCE_COMPONENT_NAME",
                "InferenceComponentName",
            ),
            ("PLIMSOLL_ENDPOINT_NAME", "EndpointName"),
            ("PLIMSOLL_VARIANT_NAME", "VariantName"),
            ("PLIMSOLL_CONTAINER_NAME", "ContainerName"),
        ]
        .into_iter()
        .map(|(variable, dimension)| (dimension, self.get(variable)))
        .filter(|(_, node)| node.is_some())
        .collect();
        (!named.is_empty()).then_some(named)
    }
}

fn containers<'d>(item: &'d Item) -> Vec<Container<'d>> {
    let mut all = Vec::new();
    let mut add = |path: String, container: &'d Node| {
        let environment = container.get("Environment");
        if environment.is_some() {
            all.push(Container {
                item,
                path: format!("{path}.Environment"),
                environment,
            });
        }
    };
    add(
        "PrimaryContainer".to_owned(),
        item.node.get("PrimaryContainer"),
    );
    for (at, container) in item.node.get("Containers").list().iter().enumerate() {
        add(format!("Containers[{at}]"), container);
    }
    all
}

pub(super) fn check(view: &View<'_>, found: &mut Findings) {
    let all: Vec<Container<'_>> = view.documents.models.iter().flat_map(containers).collect();
    for (at, container) in all.iter().enumerate() {
        reserved(container, found);
        isolated(container, found);
        let Some(own) = container.dimensions() else {
            continue;
        };
        let same = all[..at].iter().find(|other| {
            other.dimensions().is_some_and(|other| {
                other.len() == own.len()
                    && other.iter().zip(&own).all(|(a, b)| {
                        a.0 == b.0
                            && a.1.as_pattern().is_some()
                            && a.1.as_pattern() == b.1.as_pattern()
                    })
            })
        });
        if let Some(other) = same {
            let names: Vec<String> = own
                .iter()
                .map(|(name, node)| format!("{name}={}", node.as_pattern().unwrap_or_default()))
                .collect();
            let message = format!(
                "writes into the same metrics as {}: {}",
                other.item.path,
                names.join(", ")
            );
            found.add(
                TWO_MODELS,
                container.item,
                &container.path,
                container.environment,
                message,
            );
        }
    }
    shared_models(view, &all, found);
    routing(view, found);
    if let [container] = all.as_slice() {
        elsewhere(view, container, found);
    }
}

fn reserved(container: &Container<'_>, found: &mut Findings) {
    let namespace = container.get("PLIMSOLL_NAMESPACE");
    if namespace
        .as_text()
        .is_some_and(|name| name.to_ascii_uppercase().starts_with("AWS/"))
    {
        let message = format!("{:?} is AWS's own", namespace.as_text().unwrap_or_default());
        let path = format!("{}.PLIMSOLL_NAMESPACE", container.path);
        found.add(RESERVED, container.item, &path, namespace, message);
    }
}

fn isolated(container: &Container<'_>, found: &mut Findings) {
    let isolation = container.item.node.get("EnableNetworkIsolation");
    let route = container.get("PLIMSOLL_METRICS_ROUTE");
    if isolation.as_bool() == Some(true) && route.as_text() == Some("cloudwatch") {
        let message = "PLIMSOLL_METRICS_ROUTE is cloudwatch, and EnableNetworkIsolation is true";
        let path = format!("{}.PLIMSOLL_METRICS_ROUTE", container.path);
        found.add(ISOLATED, container.item, &path, route, message);
    }
}

/// How requests of scaled variants find an instance.
fn routing(view: &View<'_>, found: &mut Findings) {
    if view.documents.targets.is_empty() {
        return;
    }
    for config in &view.documents.endpoint_configs {
        let variants = config.node.get("ProductionVariants").list();
        for (at, variant) in variants.iter().enumerate() {
            let strategy = variant.at("RoutingConfig.RoutingStrategy");
            let is_random = !strategy.is_some() || strategy.as_text() == Some("RANDOM");
            if is_random && !variant.get("ServerlessConfig").is_some() {
                let path = format!("ProductionVariants[{at}].RoutingConfig");
                let message = "no RoutingStrategy but RANDOM; expected LEAST_OUTSTANDING_REQUESTS";
                found.add(ROUTING, config, &path, variant, message);
            }
        }
    }
}

/// Two variants with one Model whose metrics have names.
fn shared_models(view: &View<'_>, all: &[Container<'_>], found: &mut Findings) {
    for config in &view.documents.endpoint_configs {
        let variants = config.node.get("ProductionVariants").list();
        for (at, variant) in variants.iter().enumerate() {
            let model = variant.get("ModelName");
            let is_same = |other: &&Node| {
                let other = other.get("ModelName");
                other.as_pattern().is_some() && other.as_pattern() == model.as_pattern()
            };
            let Some(other) = variants[..at].iter().find(is_same) else {
                continue;
            };
            let publishes = all.iter().any(|container| {
                container.dimensions().is_some()
                    && (model.refers_to().contains(&container.item.id)
                        || model.as_pattern() == container.item.node.get("ModelName").as_pattern())
            });
            if publishes {
                let name = |variant: &Node| {
                    variant
                        .get("VariantName")
                        .as_pattern()
                        .unwrap_or_default()
                        .to_owned()
                };
                let message = format!(
                    "{:?} and {:?} have one Model, so one environment and one metric",
                    name(other),
                    name(variant)
                );
                let path = format!("ProductionVariants[{at}].ModelName");
                found.add(TWO_MODELS, config, &path, model, message);
            }
        }
    }
}

/// What the one container publishes against what policies and alarms name.
fn elsewhere(view: &View<'_>, container: &Container<'_>, found: &mut Findings) {
    let Some(own) = container.dimensions() else {
        return;
    };
    let namespace = container.get("PLIMSOLL_NAMESPACE");
    let namespace = match namespace.is_some() {
        true => namespace.as_pattern(),
        false => Some("Plimsoll"),
    };
    let published = container.get("PLIMSOLL_METRICS").as_text();
    let by_the_minute = container.get("PLIMSOLL_METRICS_PERIOD_SECS").as_number() == Some(60.0);
    for used in view.used() {
        let (Some(named), Some(name)) = (used.namespace.as_pattern(), used.name.as_text()) else {
            continue;
        };
        let is_ours = used.known.is_some_and(|known| known.namespace.is_none());
        if !is_ours || known::is_aws(named) {
            continue;
        }
        let mut say = |within: &str, node: &Node, message: String| {
            let path = match used.path.is_empty() {
                true => within.to_owned(),
                false => format!("{}.{within}", used.path),
            };
            found.add(ELSEWHERE, used.item, &path, node, message);
        };
        if namespace.is_some_and(|own| own != named) {
            let own = namespace.unwrap_or_default();
            say(
                "Namespace",
                used.namespace,
                format!("{named:?}; the container publishes in {own:?}"),
            );
        }
        for (dimension, value) in &own {
            let given = used.dimension(dimension).and_then(Node::as_pattern);
            if let (Some(given), Some(value)) = (given, value.as_pattern()) {
                if given != value {
                    say(
                        "Dimensions",
                        used.dimensions,
                        format!("{dimension} {given:?}; the container publishes with {value:?}"),
                    );
                }
            }
        }
        let is_left_out = published
            .is_some_and(|list| list != "all" && !list.split(',').any(|one| one.trim() == name));
        if is_left_out {
            let list = published.unwrap_or_default();
            say(
                "MetricName",
                used.name,
                format!("{name} is not among PLIMSOLL_METRICS {list:?}"),
            );
        }
        let period = used.item.node.get("Period");
        if by_the_minute && period.as_number().is_some_and(|period| period < 60.0) {
            let message = format!(
                "{} s, and PLIMSOLL_METRICS_PERIOD_SECS is 60",
                period.to_json()
            );
            found.add(HIGH_RESOLUTION, used.item, "Period", period, message);
        }
    }
}
