"""Runs the Python program of a page, as it is, and judges every call to AWS that it makes.

Takes the program's file; AWS's own environment variables lead it to a stand-in.
Each call is held against botocore's service models as check_documents.py does:
beside botocore's own validation, the enumerations, patterns and bounds.

Prints a map: `calls`, a list of service, operation and parameters in their
order, and `violations`, a line for each sentence of the models that is broken.
What the program prints goes to standard error.
"""

import argparse
import contextlib
import json
import runpy
import sys

import boto3

from check_documents import constraints


class Judge:
    """Every call that the default session's clients make."""

    def __init__(self):
        self.calls = []
        self.violations = []

    def judge(self, params, model, **_):
        """One call, before it is built."""
        service = model.service_model.service_name
        self.calls.append([service, model.name, params])
        for line in constraints(model.input_shape, params, "") if model.input_shape else []:
            self.violations.append(f"{service} {model.name}: {line}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("program")
    arguments = parser.parse_args()
    judge = Judge()
    boto3.setup_default_session()
    boto3.DEFAULT_SESSION.events.register("provide-client-params", judge.judge)
    with contextlib.redirect_stdout(sys.stderr):
        runpy.run_path(arguments.program, run_name="__main__")
    found = {"calls": judge.calls, "violations": judge.violations}
    print(json.dumps(found, default=lambda value: value.decode() if isinstance(value, bytes) else str(value)))


if __name__ == "__main__":
    main()
