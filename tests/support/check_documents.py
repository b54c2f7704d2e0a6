"""Judges the calls that make a scaling configuration, as AWS would.

Takes the folders that `plimsoll policy write --format aws-cli --out FOLDER`
wrote: register-scalable-target.json, put-scaling-policy-*.json,
put-metric-alarm-*.json, put-scheduled-action-*.json, the commands apply.sh and,
where a metric of the container is named, container-permissions.json.

Each call is held against the service models of botocore: its own validation
(types, members that are missing or unknown, least lengths) and what that leaves
out (enumerations, patterns, greatest lengths and values). Then come the
relations between members, which AWS documents and its models do not say:
exactly one form of a metric, one returned series, periods, steps without gaps,
names that agree. Nothing here is shared with what wrote the documents.

Prints a line `FILE: PATH: what is wrong` for each violation; exit status 1 if
there is one. A folder without calls is one.
"""

import argparse
import functools
import json
import re
import sys
from pathlib import Path

from botocore.loaders import Loader
from botocore.model import ServiceModel
from botocore.validate import ParamValidator
from dateutil.zoneinfo import get_zonefile_instance

# file name up to its own part -> service and operation
CALLS = {
    "register-scalable-target": ("application-autoscaling", "RegisterScalableTarget"),
    "put-scaling-policy": ("application-autoscaling", "PutScalingPolicy"),
    "put-scheduled-action": ("application-autoscaling", "PutScheduledAction"),
    "put-metric-alarm": ("cloudwatch", "PutMetricAlarm"),
}
PERMISSIONS = "container-permissions.json"
COMMANDS = "apply.sh"

VARIANT = r"endpoint/[a-zA-Z0-9](-*[a-zA-Z0-9])*/variant/[a-zA-Z0-9](-*[a-zA-Z0-9])*"
COMPONENT = r"inference-component/[a-zA-Z0-9](-*[a-zA-Z0-9])*"
# What a dimension scales, and the predefined metrics that exist for it.
DIMENSIONS = {
    "sagemaker:variant:DesiredInstanceCount": (
        VARIANT,
        {
            "SageMakerVariantInvocationsPerInstance",
            "SageMakerVariantConcurrentRequestsPerModelHighResolution",
        },
    ),
    "sagemaker:variant:DesiredProvisionedConcurrency": (
        VARIANT,
        {"SageMakerVariantProvisionedConcurrencyUtilization"},
    ),
    "sagemaker:inference-component:DesiredCopyCount": (
        COMPONENT,
        {
            "SageMakerInferenceComponentInvocationsPerCopy",
            "SageMakerInferenceComponentConcurrentRequestsPerCopyHighResolution",
        },
    ),
}
STANDARD = ["SampleCount", "Average", "Sum", "Minimum", "Maximum"]
# p99, tm90, tm(10%:90%), PR(:300), IQM …: CloudWatch User Guide, "Statistics definitions".
EXTENDED = re.compile(
    r"p(\d{1,2}(\.\d{0,10})?|100)|(tm|wm|tc|ts)\d{1,2}(\.\d{0,10})?|IQM"
    r"|((TM|WM|TC|TS)\((\d+(\.\d*)?%?)?:(\d+(\.\d*)?%?)?\)|PR\((\d+(\.\d*)?)?:(\d+(\.\d*)?)?\))",
    re.IGNORECASE,
)
MISSING_DATA = ["breaching", "notBreaching", "ignore", "missing"]
MOST_METRICS = 10
MOST_STEPS = 20
DAY_SECONDS = 86_400
# Application Auto Scaling refuses numbers of a greater magnitude.
LARGEST = 2.0**360


@functools.cache
def service(name):
    """The model of a service, as botocore has it."""
    return ServiceModel(Loader().load_service_model(name, "service-2"), name)


def violations(service_name, operation, call):
    """Every sentence of the service's model, and of its documentation, that a call breaks."""
    shape = service(service_name).operation_model(operation).input_shape
    report = ParamValidator().validate(call, shape).generate_report()
    found = [line.replace("\n", " ") for line in report.splitlines() if line]
    if found:
        # What has the wrong members or types cannot be judged further.
        return found
    return [*constraints(shape, call, ""), *RELATIONS[operation](call)]


def constraints(shape, value, path):
    """What the model says and botocore does not check: enumerations, patterns, upper limits."""
    if shape.type_name == "structure":
        for name, member in value.items():
            yield from constraints(shape.members[name], member, f"{path}.{name}".lstrip("."))
        return
    if shape.type_name == "map":
        for name, member in value.items():
            yield from constraints(shape.value, member, f"{path}.{name}")
        return
    if shape.type_name == "list":
        for at, member in enumerate(value):
            yield from constraints(shape.member, member, f"{path}[{at}]")
    most = shape.metadata.get("max")
    if most is not None:
        size = value if isinstance(value, (int, float)) else len(value)
        if size > most:
            yield f"{path}: {size} is more than {most}"
    if shape.type_name != "string":
        return
    if shape.enum and value not in shape.enum:
        yield f"{path}: {value!r} is none of {', '.join(shape.enum)}"
    pattern = shape.metadata.get("pattern")
    if pattern and not re.fullmatch(python_pattern(pattern), value, re.DOTALL if "\\n" in pattern else 0):
        yield f"{path}: {value!r} does not match {pattern}"


def python_pattern(pattern):
    """A pattern of Java's, as Python has it."""
    pattern = pattern.replace(r"\uD800\uDC00-\uDBFF\uDFFF", r"\U00010000-\U0010FFFF")
    return pattern.replace(r"\p{Print}", r"[\x20-\x7e]").replace(r"\p{ASCII}", r"[\x00-\x7f]")


def target(call):
    """RegisterScalableTarget, for a target that is not there yet."""
    yield from names(call)
    for bound in ("MinCapacity", "MaxCapacity"):
        if bound not in call:
            yield f"{bound}: is missing, and a new target needs it"
    yield from bounds(call, "")


def names(call):
    """ResourceId and ScalableDimension are of one kind."""
    if call["ServiceNamespace"] != "sagemaker":
        yield f"ServiceNamespace: {call['ServiceNamespace']!r} is not sagemaker"
    pattern, _ = DIMENSIONS.get(call["ScalableDimension"], (None, None))
    if pattern is None:
        yield f"ScalableDimension: {call['ScalableDimension']!r} is not of SageMaker"
    elif not re.fullmatch(pattern, call["ResourceId"]):
        yield f"ResourceId: {call['ResourceId']!r} has no {call['ScalableDimension']}"


def bounds(holder, path):
    """The least capacity is at most the greatest, and neither is below zero."""
    least, most = holder.get("MinCapacity"), holder.get("MaxCapacity")
    for name, bound in (("MinCapacity", least), ("MaxCapacity", most)):
        if bound is not None and bound < 0:
            yield f"{path}{name}: {bound} is below zero"
    if least is not None and most is not None and least > most:
        yield f"{path}MinCapacity: {least} is above MaxCapacity, {most}"


def policy(call):
    """PutScalingPolicy."""
    yield from names(call)
    kinds = {
        "TargetTrackingScaling": "TargetTrackingScalingPolicyConfiguration",
        "StepScaling": "StepScalingPolicyConfiguration",
    }
    own = kinds.get(call.get("PolicyType"))
    given = [name for name in call if name.endswith("PolicyConfiguration")]
    if given != [own]:
        yield f"PolicyType: {call.get('PolicyType')!r} with {given or 'no configuration'}"
    if own == "TargetTrackingScalingPolicyConfiguration" and own in call:
        yield from tracking(call[own], call["ScalableDimension"], own)
    elif own in call:
        yield from steps(call[own], own)


def tracking(configuration, dimension, path):
    """What is tracked, and the value that it is to have."""
    value = configuration["TargetValue"]
    if not 0 < value <= LARGEST:
        yield f"{path}.TargetValue: {value} is not a positive number up to 2^360"
    yield from cooldowns(configuration, ("ScaleOutCooldown", "ScaleInCooldown"), path)
    predefined = configuration.get("PredefinedMetricSpecification")
    customized = configuration.get("CustomizedMetricSpecification")
    if (predefined is None) == (customized is None):
        yield f"{path}: expected exactly one of PredefinedMetricSpecification and CustomizedMetricSpecification"
    if predefined is not None:
        of_kind = DIMENSIONS.get(dimension, (None, set()))[1]
        if predefined["PredefinedMetricType"] not in of_kind:
            yield f"{path}.PredefinedMetricSpecification: {predefined['PredefinedMetricType']} is not of {dimension}"
        if "ResourceLabel" in predefined:
            yield f"{path}.PredefinedMetricSpecification.ResourceLabel: SageMaker's metrics have none"
    if customized is not None:
        yield from metric_forms(customized, f"{path}.CustomizedMetricSpecification")


def cooldowns(configuration, fields, path):
    """Cooldowns are seconds from zero on."""
    for field in fields:
        if configuration.get(field, 0) < 0:
            yield f"{path}.{field}: {configuration[field]} is below zero"


def metric_forms(specification, path):
    """A customized metric: one metric, or queries of which one returns its series."""
    single = [name for name in ("MetricName", "Namespace", "Dimensions", "Statistic", "Unit") if name in specification]
    queries = specification.get("Metrics")
    if queries is not None and single:
        yield f"{path}: Metrics beside {', '.join(single)}"
    elif queries is not None:
        yield from math(queries, path)
    else:
        for name in ("MetricName", "Namespace", "Statistic"):
            if name not in specification:
                yield f"{path}.{name}: is missing"
    yield from distinct_dimensions(specification.get("Dimensions", []), path)


def distinct_dimensions(dimensions, path):
    """A metric has a dimension once."""
    own = [dimension["Name"] for dimension in dimensions]
    for name in sorted({name for name in own if own.count(name) > 1}):
        yield f"{path}.Dimensions: {name} twice"


def math(queries, path):
    """Queries: ids, one form each, one that returns its series, ids of expressions that exist."""
    ids = [query["Id"] for query in queries]
    metrics = [query for query in queries if "MetricStat" in query]
    if len(metrics) > MOST_METRICS:
        yield f"{path}.Metrics: {len(metrics)} metrics are more than {MOST_METRICS}"
    returned = [query["Id"] for query in queries if query.get("ReturnData", True)]
    if len(returned) != 1:
        yield f"{path}.Metrics: {len(returned)} of them return data, expected one"
    for at, query in enumerate(queries):
        here = f"{path}.Metrics[{at}]"
        if not re.fullmatch(r"[a-z][a-zA-Z0-9_]*", query["Id"]):
            yield f"{here}.Id: {query['Id']!r} does not begin with a lower-case letter, or has others"
        if ids.count(query["Id"]) > 1:
            yield f"{here}.Id: {query['Id']!r} twice"
        if ("Expression" in query) == ("MetricStat" in query):
            yield f"{here}: expected exactly one of Expression and MetricStat"
        text = re.sub(r"'[^']*'|\"[^\"]*\"", "", query.get("Expression", ""))
        for name in re.findall(r"\b[a-z][a-zA-Z0-9_]*\b", text):
            if name not in ids:
                yield f"{here}.Expression: {name!r} is no Id"
        stat = query.get("MetricStat", {})
        if "Stat" in stat and not is_statistic(stat["Stat"]):
            yield f"{here}.MetricStat.Stat: {stat['Stat']!r} is no statistic"
        for name in ("MetricName", "Namespace"):
            if "Metric" in stat and name not in stat["Metric"]:
                yield f"{here}.MetricStat.Metric.{name}: is missing"
        yield from distinct_dimensions(stat.get("Metric", {}).get("Dimensions", []), here)


def is_statistic(name):
    """One of CloudWatch's statistics."""
    return name in STANDARD or EXTENDED.fullmatch(name) is not None


def steps(configuration, path):
    """Step adjustments cover what they cover once, and open ends are open."""
    yield from cooldowns(configuration, ("Cooldown",), path)
    kind = configuration.get("AdjustmentType")
    if kind is None:
        yield f"{path}.AdjustmentType: is missing"
    if "MinAdjustmentMagnitude" in configuration and kind != "PercentChangeInCapacity":
        yield f"{path}.MinAdjustmentMagnitude: is for PercentChangeInCapacity, not {kind}"
    adjustments = configuration.get("StepAdjustments", [])
    if not 1 <= len(adjustments) <= MOST_STEPS:
        yield f"{path}.StepAdjustments: {len(adjustments)} steps, expected 1 to {MOST_STEPS}"
        return
    infinite = float("inf")
    intervals = sorted(
        (step.get("MetricIntervalLowerBound", -infinite), step.get("MetricIntervalUpperBound", infinite))
        for step in adjustments
    )
    for lower, upper in intervals:
        if not lower < upper:
            yield f"{path}.StepAdjustments: {lower} to {upper} is no interval"
        if (lower, upper) == (-infinite, infinite):
            yield f"{path}.StepAdjustments: a step without bounds"
    for (_, end), (begin, _) in zip(intervals, intervals[1:]):
        if end != begin:
            yield f"{path}.StepAdjustments: one ends at {end} and the next begins at {begin}"
    first, last = intervals[0][0], intervals[-1][1]
    if -infinite < first < 0:
        yield f"{path}.StepAdjustments: begins at {first}, below the threshold it must be open"
    if 0 < last < infinite:
        yield f"{path}.StepAdjustments: ends at {last}, above the threshold it must be open"
    if kind == "ExactCapacity" and any(step["ScalingAdjustment"] < 0 for step in adjustments):
        yield f"{path}.StepAdjustments: an exact capacity below zero"


def scheduled(call):
    """PutScheduledAction, for an action that is not there yet."""
    yield from names(call)
    action = call.get("ScalableTargetAction", {})
    if not action:
        yield "ScalableTargetAction: neither MinCapacity nor MaxCapacity"
    yield from bounds(action, "ScalableTargetAction.")
    text, zone = call.get("Schedule", ""), call.get("Timezone")
    yield from schedule(text)
    if zone is not None and text.startswith("rate"):
        yield f"Timezone: {zone!r} beside a rate"
    elif zone is not None and zone not in get_zonefile_instance().zones:
        yield f"Timezone: {zone!r} is not in the IANA database"


def schedule(text):
    """One of the three forms of a schedule."""
    moment = r"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])T([01]\d|2[0-3]):[0-5]\d:[0-5]\d"
    cron = re.fullmatch(r"cron\(([^()]*)\)", text)
    if cron:
        yield from cron_fields(cron[1])
    elif not re.fullmatch(rf"at\({moment}\)|rate\([1-9]\d* (minute|hour|day)s?\)", text):
        yield f"Schedule: {text!r} is neither at(…), rate(…) nor cron(…)"


def cron_fields(text):
    """Six fields, each within its own values; one of the two days is `?`."""
    fields = text.split(" ")
    if len(fields) != 6:
        yield f"Schedule: cron({text}) has {len(fields)} fields, expected 6"
        return
    days = "SUN|MON|TUE|WED|THU|FRI|SAT"
    months = "JAN|FEB|MAR|APR|MAY|JUN|JUL|AUG|SEP|OCT|NOV|DEC"
    allowed = [
        ("minute", r"[0-5]?\d", ""),
        ("hour", r"[01]?\d|2[0-3]", ""),
        ("day of month", r"0?[1-9]|[12]\d|3[01]", r"\?|L|([1-9]|[12]\d|3[01])W"),
        ("month", rf"0?[1-9]|1[0-2]|{months}", ""),
        ("day of week", rf"[1-7]|{days}", rf"\?|L|([1-7]|{days})(L|#[1-5])"),
        ("year", r"19[7-9]\d|20\d\d|21\d\d", ""),
    ]
    for field, (name, value, also) in zip(fields, allowed):
        one = rf"(\*|({value})(-({value}))?)(/\d+)?" + (rf"|{also}" if also else "")
        if not re.fullmatch(rf"({one})(,({one}))*", field):
            yield f"Schedule: {field!r} is no {name}"
    if (fields[2] == "?") == (fields[4] == "?"):
        yield f"Schedule: cron({text}) needs ? for the day of month or the day of week"


def alarm(call):
    """PutMetricAlarm."""
    single = [
        name
        for name in ("MetricName", "Namespace", "Dimensions", "Period", "Unit", "Statistic", "ExtendedStatistic")
        if name in call
    ]
    if "Metrics" in call and single:
        yield f"Metrics: beside {', '.join(single)}"
    elif "Metrics" in call:
        yield from math(call["Metrics"], "")
    else:
        for name in ("MetricName", "Namespace", "Period"):
            if name not in call:
                yield f"{name}: is missing"
        if ("Statistic" in call) == ("ExtendedStatistic" in call):
            yield "Statistic: expected exactly one of Statistic and ExtendedStatistic"
        if not EXTENDED.fullmatch(call.get("ExtendedStatistic", "p99")):
            yield f"ExtendedStatistic: {call['ExtendedStatistic']!r} is no statistic"
    yield from distinct_dimensions(call.get("Dimensions", []), "")
    for name in ("EvaluationPeriods", "ComparisonOperator", "Threshold"):
        if name not in call:
            yield f"{name}: is missing"
    if call.get("ComparisonOperator", "").endswith(("LowerThreshold", "UpperThreshold")):
        yield f"ComparisonOperator: {call['ComparisonOperator']} is for anomaly detection"
    if call.get("TreatMissingData", "missing") not in MISSING_DATA:
        yield f"TreatMissingData: {call['TreatMissingData']!r} is none of {', '.join(MISSING_DATA)}"
    yield from periods(call)


def periods(call):
    """Lengths that CloudWatch has, over a day or a week in all."""
    queries = [query.get("MetricStat", query) for query in call.get("Metrics", [])]
    for period in [holder["Period"] for holder in [call, *queries] if "Period" in holder]:
        if period not in (10, 20, 30) and (period < 60 or period % 60):
            yield f"Period: {period} is neither 10, 20, 30 nor a multiple of 60"
        looked_at = call.get("EvaluationPeriods", 1)
        most = 7 * DAY_SECONDS if period >= 3600 else DAY_SECONDS
        if looked_at * period > most:
            yield f"EvaluationPeriods: {looked_at} × {period} s is more than {most} s"
    if call.get("DatapointsToAlarm", 1) > call.get("EvaluationPeriods", 1):
        yield f"DatapointsToAlarm: {call['DatapointsToAlarm']} is more than EvaluationPeriods"


RELATIONS = {
    "RegisterScalableTarget": target,
    "PutScalingPolicy": policy,
    "PutScheduledAction": scheduled,
    "PutMetricAlarm": alarm,
}


def statement_violations(document):
    """What is wrong with the policy document of a role: only what is needed, and that complete."""
    if document.get("Version") != "2012-10-17":
        yield f"Version: {document.get('Version')!r} is not 2012-10-17"
    if set(document) - {"Version", "Id", "Statement"}:
        yield f"unknown elements {sorted(set(document) - {'Version', 'Id', 'Statement'})}"
    statements = document.get("Statement", [])
    if not statements:
        yield "Statement: is missing"
    for at, statement in enumerate(statements):
        here = f"Statement[{at}]"
        known = {"Sid", "Effect", "Action", "Resource", "Condition"}
        if set(statement) - known:
            yield f"{here}: unknown elements {sorted(set(statement) - known)}"
        if not re.fullmatch("[a-zA-Z0-9]*", statement.get("Sid", "")):
            yield f"{here}.Sid: {statement['Sid']!r} has other than letters and digits"
        if statement.get("Effect") != "Allow":
            yield f"{here}.Effect: {statement.get('Effect')!r} is not Allow"
        if statement.get("Action") != "cloudwatch:PutMetricData":
            yield f"{here}.Action: {statement.get('Action')!r} is not cloudwatch:PutMetricData"
        if statement.get("Resource") != "*":
            yield f"{here}.Resource: {statement.get('Resource')!r}; PutMetricData has no resources, only *"
        condition = statement.get("Condition", {}).get("StringEquals", {})
        namespace = condition.get("cloudwatch:namespace")
        if list(condition) != ["cloudwatch:namespace"] or not isinstance(namespace, str):
            yield f"{here}.Condition: expected StringEquals of cloudwatch:namespace"
        elif not 1 <= len(namespace) <= 255 or namespace.startswith((":", "AWS/")):
            yield f"{here}.Condition: {namespace!r} is no namespace of one's own"


def commands_violations(text, files):
    """The commands name every call once, each with its own subcommand."""
    named = re.findall(r"aws (\S+) (\S+) --cli-input-json file://([\w.-]+)", text)
    for called, subcommand, file in named:
        kind = next((kind for kind in CALLS if file.startswith(kind)), None)
        if kind is None or (called, subcommand) != (CALLS[kind][0], kind):
            yield f"{called} {subcommand} is given {file}"
    for file in sorted(set(files) ^ {file for _, _, file in named}):
        yield f"{file} is in the commands or in the folder, and not in both"
    if len({file for _, _, file in named}) != len(named):
        yield "a file is given twice"


def folder_violations(folder):
    """`FILE: what` for everything that is wrong in a folder."""
    files = {}
    owners = set()
    for path in sorted(Path(folder).iterdir()):
        if path.name == COMMANDS:
            continue
        try:
            document = json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse_constant)
        except (ValueError, UnicodeDecodeError) as error:
            yield f"{path.name}: is no JSON: {error}"
            continue
        kind = next((kind for kind in CALLS if path.name.startswith(kind)), None)
        if path.name == PERMISSIONS:
            yield from (f"{path.name}: {what}" for what in statement_violations(document))
        elif kind is None:
            yield f"{path.name}: is not expected here"
        else:
            files[path.name] = document
            yield from (f"{path.name}: {what}" for what in violations(*CALLS[kind], document))
            owners.add(tuple(document.get(name) for name in ("ResourceId", "ScalableDimension")))
    owners.discard((None, None))
    if len(owners) != 1:
        yield f"{folder}: {len(owners)} targets, expected one"
    if not files:
        yield f"{folder}: no calls"
    for field in ("PolicyName", "AlarmName", "ScheduledActionName"):
        own = [document[field] for document in files.values() if field in document]
        if len(own) != len(set(own)):
            yield f"{folder}: a {field} twice"
    commands = Path(folder) / COMMANDS
    if commands.exists():
        yield from (f"{COMMANDS}: {what}" for what in commands_violations(commands.read_text(), files))
    else:
        yield f"{COMMANDS}: is missing"


def refuse_constant(name):
    """JSON has no NaN and no infinities, though Python reads them."""
    raise ValueError(f"{name} is no number of JSON's")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", nargs="+", type=Path, metavar="FOLDER")
    found = 0
    for folder in parser.parse_args().folders:
        for line in folder_violations(folder):
            found += 1
            print(f"{folder}: {line}")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
