"""Answers of CloudWatch's from JSON to CBOR.

JSON has one kind of number and no moments; CBOR has integers, floats and
moments, and the AWS SDKs insist on the right ones. Which member is what says
the service model that botocore carries.
"""

import functools
import json

import botocore.session
import cbor2

EPOCH_SECONDS = 1


@functools.cache
def model():
    """CloudWatch's service model."""
    return botocore.session.get_session().get_service_model("cloudwatch")


def as_json(text):
    """The answer as a map; an empty one where it is none."""
    try:
        answer = json.loads(text)
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) else {}


def as_cbor(operation, answer):
    """The answer of this operation as CBOR has it; what is nothing is left out."""
    shape = model().operation_model(operation).output_shape
    return typed(shape, answer) if shape else {}


def typed(shape, value):
    """A value of this shape."""
    if shape.type_name == "structure":
        members = {name: value.get(name) for name in shape.members}
        return {name: typed(shape.members[name], inner) for name, inner in members.items() if inner is not None}
    if shape.type_name == "list":
        return [typed(shape.member, inner) for inner in value]
    if shape.type_name == "map":
        return {key: typed(shape.value, inner) for key, inner in value.items()}
    if shape.type_name in ("double", "float"):
        return float(value)
    if shape.type_name in ("integer", "long"):
        return int(value)
    if shape.type_name == "timestamp":
        return cbor2.CBORTag(EPOCH_SECONDS, float(value))
    return value
