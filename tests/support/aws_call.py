"""Calls AWS's APIs at an endpoint through boto3, for tests.

Takes a JSON list of `[service, operation, parameters]` on standard input, such
as `["cloudwatch", "describe_alarms", {}]`, and prints the list of answers.
"""

import argparse
import json
import sys

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError


def answer(client, operation, parameters):
    """The answer to one call, without what is of HTTP."""
    found = getattr(client, operation)(**parameters)
    found.pop("ResponseMetadata", None)
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--endpoint", required=True, help="for example http://127.0.0.1:5000")
    parser.add_argument("--region", default="us-east-1")
    arguments = parser.parse_args()
    clients = {}
    answers = []
    for service, operation, parameters in json.load(sys.stdin):
        if service not in clients:
            clients[service] = boto3.client(
                service,
                endpoint_url=arguments.endpoint,
                region_name=arguments.region,
                aws_access_key_id="test",
                aws_secret_access_key="test",
                config=Config(retries={"max_attempts": 1}, proxies={}),
            )
        try:
            answers.append(answer(clients[service], operation, parameters))
        except (BotoCoreError, ClientError) as error:
            sys.exit(f"{service} {operation} at {arguments.endpoint}: {error}")
    print(json.dumps(answers, default=lambda moment: moment.isoformat()))


if __name__ == "__main__":
    main()
