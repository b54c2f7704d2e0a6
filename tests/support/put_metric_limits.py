"""The limits of CloudWatch's PutMetricData, as AWS documents them.

Pure: a decoded call in, the first broken rule out. The numbers are those of
the PutMetricData reference; where it can be read two ways, the stricter
reading is taken, because a publisher that keeps it is right in both.
"""

import math
from datetime import datetime, timedelta, timezone

MAX_BODY_BYTES = 1_000_000
MAX_DATUMS = 1000
MAX_VALUES = 150
MAX_DIMENSIONS = 30
LARGEST_VALUE = 2.0**360
OLDEST = timedelta(days=14)
NEWEST = timedelta(hours=2)

UNITS = {
    "Seconds", "Microseconds", "Milliseconds", "Bytes", "Kilobytes", "Megabytes", "Gigabytes",
    "Terabytes", "Bits", "Kilobits", "Megabits", "Gigabits", "Terabits", "Percent", "Count",
    "Bytes/Second", "Kilobytes/Second", "Megabytes/Second", "Gigabytes/Second",
    "Terabytes/Second", "Bits/Second", "Kilobits/Second", "Megabits/Second", "Gigabits/Second",
    "Terabits/Second", "Count/Second", "None",
}  # fmt: skip


class BrokenRule(Exception):
    """A call that AWS would refuse: `code` is AWS's error code, the text names the rule."""

    def __init__(self, code, message):
        super().__init__(message)
        self.code = code
        self.message = message


def check_call(call, body_bytes, now=None):
    """Raises BrokenRule for the first limit that `call` breaks.

    `call` is the decoded input (`Namespace`, `MetricData`; time stamps are
    aware datetimes), `body_bytes` the size of the HTTP body as it was sent.
    """
    now = now or datetime.now(timezone.utc)
    if body_bytes > MAX_BODY_BYTES:
        raise BrokenRule(
            "RequestEntityTooLarge",
            f"the body has {body_bytes} bytes, at most {MAX_BODY_BYTES} are allowed",
        )
    _check_namespace(call.get("Namespace"))
    data = call.get("MetricData")
    if not isinstance(data, list) or not data:
        raise BrokenRule("MissingParameter", "MetricData must be a list of at least one datum")
    if len(data) > MAX_DATUMS:
        _refuse(f"MetricData has {len(data)} datums, at most {MAX_DATUMS} are allowed")
    for index, datum in enumerate(data, start=1):
        _check_datum(f"MetricData.member.{index}", datum, now)


def _refuse(message, code="InvalidParameterValue"):
    raise BrokenRule(code, message)


def _check_namespace(namespace):
    _check_text("Namespace", namespace, 255)
    if namespace.startswith("AWS/"):
        _refuse(f"the namespace {namespace!r} begins with AWS/, which is reserved")
    if namespace.startswith(":"):
        _refuse(f"the namespace {namespace!r} begins with a colon")


def _check_text(where, text, longest):
    if not isinstance(text, str) or not text.strip():
        _refuse(f"{where} must be a text that is not blank, found {text!r}")
    if len(text) > longest:
        _refuse(f"{where} has {len(text)} characters, at most {longest} are allowed")
    if not text.isascii() or any(ord(letter) < 32 or ord(letter) == 127 for letter in text):
        _refuse(f"{where} must be printable ASCII, found {text!r}")


def _check_datum(where, datum, now):
    _check_text(f"{where}.MetricName", datum.get("MetricName"), 255)
    where = f"{where} ({datum['MetricName']})"
    unknown = set(datum) - {
        "MetricName", "Dimensions", "Timestamp", "Value", "StatisticValues",
        "Values", "Counts", "Unit", "StorageResolution",
    }  # fmt: skip
    if unknown:
        _refuse(f"{where} has members that PutMetricData does not know: {sorted(unknown)}")
    _check_dimensions(where, datum.get("Dimensions") or [])
    _check_numbers(where, datum)
    if datum.get("Unit", "None") not in UNITS:
        _refuse(f"{where}.Unit {datum['Unit']!r} is not a CloudWatch unit")
    if datum.get("StorageResolution", 60) not in (1, 60):
        _refuse(f"{where}.StorageResolution {datum['StorageResolution']!r} must be 1 or 60")
    stamp = datum.get("Timestamp")
    if stamp is not None:
        if not isinstance(stamp, datetime):
            _refuse(f"{where}.Timestamp must be a time stamp, found {type(stamp).__name__}")
        if not now - OLDEST <= stamp <= now + NEWEST:
            _refuse(f"{where}.Timestamp {stamp.isoformat()} must lie within two weeks back and two hours ahead")


def _check_dimensions(where, dimensions):
    if len(dimensions) > MAX_DIMENSIONS:
        _refuse(f"{where} has {len(dimensions)} dimensions, at most {MAX_DIMENSIONS} are allowed")
    names = set()
    for dimension in dimensions:
        name = dimension.get("Name")
        _check_text(f"{where} dimension name", name, 255)
        _check_text(f"{where} dimension {name} value", dimension.get("Value"), 1024)
        if name.startswith(":"):
            _refuse(f"{where} dimension name {name!r} begins with a colon")
        if name in names:
            _refuse(f"{where} names the dimension {name!r} twice")
        names.add(name)


def _check_numbers(where, datum):
    given = [key for key in ("Value", "Values", "StatisticValues") if datum.get(key) is not None]
    if len(given) != 1:
        _refuse(
            f"{where} must have exactly one of Value, Values and StatisticValues, found {given}",
            "InvalidParameterCombination",
        )
    if "Value" in given:
        _check_number(f"{where}.Value", datum["Value"])
    elif "StatisticValues" in given:
        statistics = datum["StatisticValues"]
        for key in ("SampleCount", "Sum", "Minimum", "Maximum"):
            _check_number(f"{where}.StatisticValues.{key}", statistics.get(key))
        if statistics["Minimum"] > statistics["Maximum"]:
            _refuse(f"{where}.StatisticValues has a minimum above its maximum")
    _check_distribution(where, datum.get("Values"), datum.get("Counts"))


def _check_distribution(where, values, counts):
    if values is None:
        if counts is not None:
            _refuse(f"{where} has Counts without Values", "InvalidParameterCombination")
        return
    if not 1 <= len(values) <= MAX_VALUES:
        _refuse(f"{where} has {len(values)} Values, from 1 to {MAX_VALUES} are allowed")
    if counts is not None and len(counts) != len(values):
        _refuse(f"{where} has {len(values)} Values and {len(counts)} Counts")
    if len(set(values)) != len(values):
        _refuse(f"{where} repeats a value in Values: equal values belong into one with its count")
    for value in values:
        _check_number(f"{where}.Values", value)
    for count in counts or []:
        _check_number(f"{where}.Counts", count)
        # Whole numbers are not AWS's rule, but the stand-in behind this check
        # would cut a fraction off without a word.
        if count <= 0 or count != int(count):
            _refuse(f"{where}.Counts holds {count}, a whole number above 0 was expected")


def _check_number(where, number):
    if isinstance(number, bool) or not isinstance(number, (int, float)):
        _refuse(f"{where} must be a number, found {type(number).__name__}")
    if not math.isfinite(number):
        _refuse(f"{where} is {number}, only finite numbers are allowed")
    if abs(number) > LARGEST_VALUE:
        _refuse(f"{where} is {number}, beyond 2^360")
