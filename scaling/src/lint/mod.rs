//! Traps in scaling documents, each a rule with its reason and its fix.
//!
//! What only the deployment knows is not judged.

mod alarms;
mod containers;
mod metrics;
mod refused;
mod rules;
mod target;
mod tracking;
mod view;

use crate::document::{Documents, Item, Node};

pub use rules::{rule, Rule, Severity, RULES};

/// What is known beside the document.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Context {
    /// vCPUs of an instance; taken from the instance's type where the document names it.
    pub vcpus: Option<f64>,
    /// GPUs of an instance.
    pub gpus: Option<f64>,
    /// Requests a second that one instance answers as promised, as a load test found.
    pub max_rate: Option<f64>,
    /// Seconds from the decision to the first answer of a new instance.
    pub launch_secs: u64,
    /// Now, seconds since 1970: what schedules may still come.
    pub now: Option<i64>,
    /// Whether the variant is of an asynchronous endpoint.
    pub is_async: bool,
}

impl Default for Context {
    fn default() -> Self {
        Self {
            vcpus: None,
            gpus: None,
            max_rate: None,
            launch_secs: 300,
            now: None,
            is_async: false,
        }
    }
}

/// What a rule found.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// The rule.
    pub rule: &'static Rule,
    /// Where, as a path of the document; empty for all of it.
    pub path: String,
    /// The line, from 1; 0 where nobody knows.
    pub line: u32,
    /// What is there, and what was expected.
    pub message: String,
}

/// Everything that the rules find, in the order of the document.
#[must_use]
pub fn lint(documents: &Documents, context: &Context) -> Vec<Finding> {
    let mut found = Findings::default();
    let view = view::View::new(documents, context);
    refused::check(&view, &mut found);
    metrics::check(&view, &mut found);
    tracking::check(&view, &mut found);
    target::check(&view, &mut found);
    alarms::check(&view, &mut found);
    containers::check(&view, &mut found);
    let mut all = found.0;
    all.sort_by_key(|one| one.line);
    all.dedup_by(|a, b| a.rule == b.rule && a.path == b.path && a.message == b.message);
    all
}

/// What was found so far.
#[derive(Default)]
struct Findings(Vec<Finding>);

impl Findings {
    /// Adds one at a member of a call: `within` is its path there, `node` what stands there.
    fn add(
        &mut self,
        rule: &'static Rule,
        item: &Item,
        within: &str,
        node: &Node,
        message: impl Into<String>,
    ) {
        let path = match (item.path.is_empty(), within.is_empty()) {
            (_, true) => item.path.clone(),
            (true, false) => within.to_owned(),
            (false, false) => format!("{}.{within}", item.path),
        };
        let line = match node.line {
            0 => item.node.line,
            line => line,
        };
        self.0.push(Finding {
            rule,
            path,
            line,
            message: message.into(),
        });
    }

    /// Whether this rule has found something in this call.
    fn has(&self, rule: &'static Rule, item: &Item) -> bool {
        self.0
            .iter()
            .any(|one| one.rule == rule && item.has(&one.path))
    }
}

#[cfg(test)]
#[path = "lint_tests.rs"]
mod tests;
