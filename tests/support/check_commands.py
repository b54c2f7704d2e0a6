"""Judges `aws` commands by botocore's service models: service, operation and options must exist.

Takes lines on standard input, such as `aws ecr create-repository
--repository-name plimsoll`. Commands that the CLI has beside the services'
operations are known by name. Prints a line for each that is wrong, and at the
end how many were looked at; exit status 1 if one is wrong.
"""

import re
import shlex
import sys

from botocore import xform_name
from botocore.loaders import Loader
from botocore.model import ServiceModel

# Options of the CLI itself.
GLOBAL = {"--query", "--output", "--region", "--profile"}
# What is no operation of a service, with its options.
OWN = {
    ("ecr", "get-login-password"): set(),
    ("s3", "mb"): set(),
    ("s3", "cp"): set(),
    ("cloudformation", "deploy"): {"--template-file", "--stack-name", "--capabilities", "--parameter-overrides"},
}
COMMAND = re.compile(r"\baws ([a-z0-9-]+) ([a-z0-9-]+)([^|)\n]*)")


def options_of(service, command):
    """The options that a command has; none where there is no such command."""
    if (service, command) in OWN:
        return OWN[service, command]
    if service not in Loader().list_available_services("service-2"):
        return None
    model = ServiceModel(Loader().load_service_model(service, "service-2"), service)
    for name in model.operation_names:
        if xform_name(name, "-") == command:
            shape = model.operation_model(name).input_shape
            return {f"--{xform_name(member, '-')}" for member in (shape.members if shape else ())}
    return None


def main():
    looked_at = wrong = 0
    for service, command, rest in COMMAND.findall(sys.stdin.read().replace("\\\n", " ")):
        looked_at += 1
        known = options_of(service, command)
        given = {word for word in shlex.split(rest) if word.startswith("--")}
        unknown = sorted(given - GLOBAL - known) if known is not None else [f"{service} {command} itself"]
        for what in unknown:
            wrong += 1
            print(f"aws {service} {command}: there is no {what}")
    print(f"{looked_at} commands")
    sys.exit(1 if wrong or not looked_at else 0)


if __name__ == "__main__":
    main()
