"""Judges Terraform configurations in JSON syntax, by the schema of the provider aws.

Takes files such as the scaling.tf.json of `plimsoll policy write --format
terraform`. Held against them are the rules of the syntax (`resource`, a type, a
label, a body; blocks as objects or lists of them; `//` for comments; templates
in every text, with `${a.b.c}` for another resource's attribute) and the schema:
which attributes and blocks there are, of which type, which must be there and
how often. References must lead to a declared resource and to an attribute that
it has, and in no circle.

The schema is tests/data/terraform/aws_schema.json, in the form of `terraform
providers schema -json`; it says of which version it is. Two things that it does
not hold are below: which attributes exclude one another (the provider's pages
"aws_appautoscaling_policy" and "aws_cloudwatch_metric_alarm"), and how bounds
must be written so that a second plan is empty.

Prints a line `FILE: PATH: what is wrong` for each violation; exit status 1 if
there is one.
"""

import argparse
import json
import re
import sys
from decimal import Decimal, InvalidOperation
from pathlib import Path

SCHEMA = Path(__file__).parent.parent / "data" / "terraform" / "aws_schema.json"
COMMENT = "//"
META_ARGUMENTS = {"count", "depends_on", "for_each", "lifecycle", "provider"}
IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
# A reference to another resource's attribute.
REFERENCE = re.compile(rf"({IDENTIFIER.pattern})\.({IDENTIFIER.pattern})\.({IDENTIFIER.pattern})")
# `${…}`, and `$${` that stands for itself; the same with `%`.
TEMPLATE = re.compile(r"(\$\$|%%)\{|(\$|%)\{([^{}]*)(\})?")
# block or resource -> one of them, and what it excludes
EXCLUSIVE = {
    "aws_cloudwatch_metric_alarm": (
        "metric_query",
        {"metric_name", "namespace", "dimensions", "period", "statistic", "extended_statistic", "unit"},
    ),
    "target_tracking_scaling_policy_configuration": (
        "customized_metric_specification",
        {"predefined_metric_specification"},
    ),
    "customized_metric_specification": ("metrics", {"metric_name", "namespace", "dimensions", "statistic", "unit"}),
    "aws_appautoscaling_policy": (
        "target_tracking_scaling_policy_configuration",
        {"step_scaling_policy_configuration"},
    ),
}
# Texts that hold a number or nothing. The provider reads them back without
# trailing zeros; a set whose text differs is planned anew every time.
NULLABLE_NUMBERS = {"metric_interval_lower_bound", "metric_interval_upper_bound", "min_capacity", "max_capacity"}


def load_schema(path=SCHEMA):
    """Block of each type of resource."""
    document = json.loads(path.read_text(encoding="utf-8"))
    (provider,) = document["provider_schemas"].values()
    return {name: resource["block"] for name, resource in provider["resource_schemas"].items()}


class Judge:
    """One configuration, and what is wrong with it."""

    def __init__(self, schema):
        self.schema = schema
        self.found = []
        # (type, label) -> those that it refers to
        self.declared = {}
        self.current = None

    def say(self, path, what):
        self.found.append(f"{path}: {what}")

    def configuration(self, document):
        """The root of a file."""
        for name in sorted(set(document) - {COMMENT, "resource"}):
            self.say(name, "is not expected here")
        if not isinstance(document.get(COMMENT, ""), str):
            self.say(COMMENT, "is no text")
        resources = document.get("resource")
        if not self.is_map(resources, "resource"):
            return
        for of_type, labelled in resources.items():
            if self.is_map(labelled, of_type):
                self.declared |= {(of_type, label): set() for label in labelled if label != COMMENT}
        for self.current, refers_to in self.declared.items():
            self.resource(*self.current, resources[self.current[0]][self.current[1]])
        self.circles()

    def is_map(self, value, path):
        if isinstance(value, dict) and value:
            return True
        self.say(path, f"{json.dumps(value)} is no map with something in it")
        return False

    def resource(self, of_type, label, body):
        path = f"{of_type}.{label}"
        if of_type not in self.schema:
            self.say(path, "there is no such type in the schema")
        elif not IDENTIFIER.fullmatch(label):
            self.say(path, f"{label!r} is no identifier")
        elif self.is_map(body, path):
            body = {name: value for name, value in body.items() if name not in META_ARGUMENTS}
            self.block(self.schema[of_type], body, path, of_type)

    def block(self, schema, body, path, name):
        """A body: its attributes and blocks."""
        attributes, blocks = schema.get("attributes", {}), schema.get("block_types", {})
        one, others = EXCLUSIVE.get(name, (None, set()))
        if one in body and others & set(body):
            self.say(path, f"{one} beside {sorted(others & set(body))}")
        for member, value in body.items():
            here = f"{path}.{member}"
            if member == COMMENT:
                continue
            if member in blocks:
                self.nested(blocks[member], value, here, member)
            elif member not in attributes:
                self.say(here, "there is no such attribute or block")
            elif not {"required", "optional"} & set(attributes[member]):
                self.say(here, "is computed; it cannot be set")
            elif value is not None:
                self.value(attributes[member]["type"], value, here)
                self.bound(member, value, here)
        for member, attribute in attributes.items():
            if attribute.get("required") and body.get(member) is None:
                self.say(f"{path}.{member}", "is missing")
        for member, nested in blocks.items():
            if nested.get("min_items") and member not in body:
                self.say(f"{path}.{member}", "is missing")

    def nested(self, schema, value, path, name):
        """A block, or a list of them."""
        several = value if isinstance(value, list) else [value]
        if not schema.get("min_items", 0) <= len(several) <= schema.get("max_items", len(several)):
            self.say(path, f"{len(several)} blocks, expected {schema.get('max_items', 'more')}")
        for at, body in enumerate(several):
            here = f"{path}[{at}]" if isinstance(value, list) else path
            if self.is_map(body, here):
                self.block(schema["block"], body, here, name)

    def value(self, of_type, value, path):
        """An attribute's value, converted as Terraform converts."""
        if isinstance(of_type, list):
            kind, inner = of_type
            expected = dict if kind == "map" else list
            if not isinstance(value, expected):
                self.say(path, f"{json.dumps(value)} is no {kind} of {inner}")
                return
            pairs = value.items() if kind == "map" else enumerate(value)
            for name, member in pairs:
                if kind == "map":
                    self.template(name, path)
                self.value(inner, member, f"{path}[{name!r}]")
            return
        if isinstance(value, str) and self.template(value, path):
            return  # what it refers to is a text
        convertible = {
            "string": lambda: isinstance(value, (str, int, float)),
            "number": lambda: not isinstance(value, bool) and is_number(value),
            "bool": lambda: isinstance(value, bool) or value in ("true", "false"),
        }
        if not convertible[of_type]():
            self.say(path, f"{json.dumps(value)} is no {of_type}")

    def template(self, text, path):
        """Checks the templates in a text; whether there are any."""
        has_template = False
        for part in TEMPLATE.finditer(text):
            escaped, opened, expression, closed = part.groups()
            if escaped:
                continue
            has_template = True
            reference = REFERENCE.fullmatch(expression or "")
            if opened == "%" or not closed or not reference:
                self.say(path, f"{text!r} holds a template that is no reference")
                continue
            of_type, label, attribute = reference.groups()
            if (of_type, label) not in self.declared:
                self.say(path, f"{text!r} refers to a resource that is not declared")
            elif attribute not in self.schema[of_type]["attributes"]:
                self.say(path, f"{text!r} refers to an attribute that {of_type} does not have")
            else:
                self.declared[self.current].add((of_type, label))
        return has_template

    def bound(self, name, value, path):
        if name not in NULLABLE_NUMBERS:
            return
        if not is_number(value):
            self.say(path, f"{json.dumps(value)} is no number")
        elif isinstance(value, str) and value != plain(value):
            self.say(path, f"{value!r} is read back as {plain(value)!r}, so that every plan would change it")

    def circles(self):
        """No resource refers to itself, by whichever way."""
        left = {resource: set(refers_to) for resource, refers_to in self.declared.items()}
        while free := [resource for resource, refers_to in left.items() if not refers_to]:
            left = {name: refers_to - set(free) for name, refers_to in left.items() if name not in free}
        for of_type, label in left:
            self.say(f"{of_type}.{label}", "refers to itself")


def is_number(value):
    """A number, or a text that is one."""
    if isinstance(value, bool):
        return False
    try:
        return Decimal(str(value)).is_finite()
    except InvalidOperation:
        return False


def plain(text):
    """A number as the provider writes it: the shortest, without an exponent."""
    number = format(Decimal(text), "f")
    return number.rstrip("0").rstrip(".") if "." in number else number


def once(pairs):
    """An object whose names are used once."""
    names = [name for name, _ in pairs]
    twice = {name for name in names if names.count(name) > 1} - {COMMENT}
    if twice:
        raise ValueError(f"{sorted(twice)} twice")
    return dict(pairs)


def violations(text, schema):
    """Everything that is wrong in the text of a file."""
    judge = Judge(schema)
    try:
        document = json.loads(text, object_pairs_hook=once)
    except ValueError as error:
        return [f"is no JSON: {error}"]
    if judge.is_map(document, "root"):
        judge.configuration(document)
    return judge.found


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
    schema = load_schema()
    found = 0
    for file in parser.parse_args().files:
        for line in violations(file.read_text(encoding="utf-8"), schema):
            found += 1
            print(f"{file}: {line}")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
