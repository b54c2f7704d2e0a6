//! CloudFormation's templates.
//!
//! Parameters count with their defaults. What else only the deployment knows stays unknown, with what it
//! refers to: a reference to another resource is how an alarm says which policy it calls.

use super::forms::Call;
use super::node::{Data, Later, Node};
use super::{Documents, Form};
use crate::policy::Invalid;

/// Types of resources, and the calls that they stand for.
const TYPES: [(&str, Call); 5] = [
    ("AWS::ApplicationAutoScaling::ScalableTarget", Call::Target),
    ("AWS::ApplicationAutoScaling::ScalingPolicy", Call::Policy),
    ("AWS::CloudWatch::Alarm", Call::Alarm),
    ("AWS::SageMaker::Model", Call::Model),
    ("AWS::SageMaker::EndpointConfig", Call::EndpointConfig),
];

pub(super) fn read(template: &Node, found: &mut Documents) -> Result<(), Invalid> {
    found.form = Form::CloudFormation;
    let resources = template.get("Resources");
    let Data::Map(entries) = &resources.data else {
        return Err(Invalid::new(
            "Resources",
            format!("{}; expected a map of resources", resources.kind()),
        ));
    };
    for (name, resource) in entries {
        let path = format!("Resources.{name}");
        let Data::Map(_) = &resource.data else {
            return Err(Invalid::new(
                path,
                format!(
                    "{}; expected a resource with Type and Properties",
                    resource.kind()
                ),
            ));
        };
        let Some(of_type) = resource.get("Type").as_text() else {
            return Err(Invalid::new(path, "has no Type; expected one"));
        };
        let Some((_, call)) = TYPES.iter().find(|(known, _)| *known == of_type) else {
            continue;
        };
        let properties = resource.get("Properties");
        if !matches!(properties.data, Data::Map(_)) {
            return Err(Invalid::new(
                format!("{path}.Properties"),
                format!(
                    "{}; expected a map: the template may be cut off",
                    properties.kind()
                ),
            ));
        }
        let mut properties = resolved(properties, template);
        properties.line = resource.line.max(1);
        if *call == Call::Alarm && !properties.get("AlarmName").is_some() {
            add(&mut properties, "AlarmName", Node::text(name));
        }
        if *call == Call::Target {
            scheduled(&mut properties, name, &path, found);
        }
        found.add(*call, path, name.clone(), properties);
    }
    Ok(())
}

fn add(node: &mut Node, name: &str, value: Node) {
    if let Data::Map(entries) = &mut node.data {
        entries.push((name.to_owned(), value));
    }
}

/// A target's `ScheduledActions` are calls of their own.
fn scheduled(target: &mut Node, id: &str, path: &str, found: &mut Documents) {
    let Data::Map(entries) = &mut target.data else {
        return;
    };
    let Some(at) = entries
        .iter()
        .position(|(name, _)| name == "ScheduledActions")
    else {
        return;
    };
    let (_, actions) = entries.remove(at);
    for (at, action) in actions.list().iter().enumerate() {
        let mut action = action.clone();
        let target = Later {
            text: format!("${{{id}}}"),
            to: vec![id.to_owned()],
        };
        add(
            &mut action,
            "ScalingTargetId",
            Node::new(Data::Later(target)),
        );
        let path = format!("{path}.Properties.ScheduledActions[{at}]");
        found.add(Call::Scheduled, path, String::new(), action);
    }
}

/// The same with functions worked out as far as that goes.
fn resolved(node: &Node, template: &Node) -> Node {
    let data = match &node.data {
        Data::List(list) => Data::List(
            list.iter()
                .map(|node| resolved(node, template))
                // AWS::NoValue leaves its place out.
                .filter(Node::is_some)
                .collect(),
        ),
        Data::Map(entries) => match entries.as_slice() {
            [(name, value)] if is_function(name) => {
                let found = function(name, value, template);
                return Node {
                    line: node.line,
                    ..found
                };
            }
            _ => Data::Map(
                entries
                    .iter()
                    .map(|(name, node)| (name.clone(), resolved(node, template)))
                    .filter(|(_, node)| node.is_some())
                    .collect(),
            ),
        },
        other => other.clone(),
    };
    Node {
        data,
        line: node.line,
    }
}

fn is_function(name: &str) -> bool {
    name == "Ref" || name.starts_with("Fn::")
}

fn function(name: &str, value: &Node, template: &Node) -> Node {
    let value = match name {
        "Ref" => value.clone(),
        _ => resolved(value, template),
    };
    match (name, value.as_text()) {
        ("Ref", Some("AWS::NoValue")) => Node::new(Data::Null),
        ("Ref", Some(id)) => reference(id, template),
        ("Fn::Sub", Some(text)) => substituted(text, &[], template),
        ("Fn::Sub", None) => match value.list() {
            [text, variables] => {
                let text = text.as_text().unwrap_or_default();
                substituted(text, variables.entries(), template)
            }
            _ => later(String::new(), Vec::new()),
        },
        ("Fn::GetAtt", Some(text)) => {
            let id = text.split('.').next().unwrap_or_default();
            later(format!("${{{text}}}"), vec![id.to_owned()])
        }
        ("Fn::GetAtt", None) => match value.list() {
            [id, attribute] => {
                let (id, attribute) = (id.as_pattern(), attribute.as_pattern());
                let (id, attribute) = (id.unwrap_or_default(), attribute.unwrap_or_default());
                later(format!("${{{id}.{attribute}}}"), vec![id.to_owned()])
            }
            _ => later(String::new(), Vec::new()),
        },
        ("Fn::Join", _) => joined(&value),
        // The first case stands for both.
        ("Fn::If", _) => value
            .list()
            .get(1)
            .cloned()
            .unwrap_or(later(String::new(), Vec::new())),
        _ => later(format!("${{{name}}}"), Vec::new()),
    }
}

fn later(text: String, to: Vec<String>) -> Node {
    Node::new(Data::Later(Later { text, to }))
}

/// A parameter's default, or whatever the name will stand for.
fn reference(id: &str, template: &Node) -> Node {
    let parameter = template.get("Parameters").get(id);
    let default = parameter.get("Default");
    // The default of one of these is the name of the value, in the parameter store.
    let of_type = parameter.get("Type").as_text().unwrap_or_default();
    match default.is_some() && !of_type.starts_with("AWS::SSM::") {
        true => default.clone(),
        false => later(format!("${{{id}}}"), vec![id.to_owned()]),
    }
}

/// Text with `${Name}` and `${Name.Attribute}` in it.
fn substituted(text: &str, variables: &[(String, Node)], template: &Node) -> Node {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        let Some((name, after)) = after.split_once('}') else {
            break;
        };
        parts.push(Node::text(before));
        rest = after;
        // `${!Name}` is the text ${Name}.
        if let Some(literal) = name.strip_prefix('!') {
            parts.push(Node::text(format!("${{{literal}}}")));
            continue;
        }
        let variable = variables.iter().find(|(variable, _)| variable == name);
        parts.push(match (variable, name.split_once('.')) {
            (Some((_, value)), _) => value.clone(),
            (None, Some((id, _))) => later(format!("${{{name}}}"), vec![id.to_owned()]),
            (None, None) => reference(name, template),
        });
    }
    parts.push(Node::text(rest));
    put_together(&parts, "")
}

fn joined(value: &Node) -> Node {
    match value.list() {
        [between, parts] if !parts.list().is_empty() => {
            put_together(parts.list(), between.as_text().unwrap_or_default())
        }
        _ => later(String::new(), Vec::new()),
    }
}

fn put_together(parts: &[Node], between: &str) -> Node {
    let mut text = String::new();
    let mut to = Vec::new();
    let mut is_known = true;
    for (at, part) in parts.iter().enumerate() {
        if at > 0 {
            text.push_str(between);
        }
        match &part.data {
            Data::Text(part) => text.push_str(part),
            Data::Later(later) => {
                is_known = false;
                text.push_str(&later.text);
                to.extend(later.to.iter().cloned());
            }
            Data::Number(_) | Data::Bool(_) => text.push_str(&part.to_json().to_string()),
            _ => is_known = false,
        }
    }
    match is_known {
        true => Node::text(text),
        false => later(text, to),
    }
}
