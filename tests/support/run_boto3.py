"""Runs the Python programs that `plimsoll policy write --format boto3` wrote, as they are.

Takes folders with an apply.py each. Every program runs in a process of its own
against moto's server on loopback, with nothing but AWS's own environment
variables to lead it there, and in a region of its own so that the programs do
not see each other. Then boto3 reads back what is there.

moto 5.2.5 knows one of SageMaker's three scalable dimensions. The two others
are put beside it; the rest of moto is as it is.

Prints a map from folder to `targets`, `policies`, `scheduled_actions` and
`alarms`, as DescribeScalableTargets and the like answer. A program that fails,
or says anything, ends it with what it said.
"""

import argparse
import json
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from enum import Enum
from pathlib import Path

import boto3
from botocore.config import Config
from moto.applicationautoscaling import models, responses
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server

KEYS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
SERVICE = "application-autoscaling"
FURTHER_DIMENSIONS = {
    "SAGEMAKER_VARIANT_PROVISIONED": "sagemaker:variant:DesiredProvisionedConcurrency",
    "SAGEMAKER_COMPONENT_COPIES": "sagemaker:inference-component:DesiredCopyCount",
}


class Quiet(WSGIRequestHandler):
    """Logs nothing."""

    def log(self, *_):
        pass


def start_moto():
    """Starts moto's server in this process and says where it is."""
    known = {dimension.name: dimension.value for dimension in models.ScalableDimensionValueSet}
    further = {name: value for name, value in FURTHER_DIMENSIONS.items() if value not in known.values()}
    models.ScalableDimensionValueSet = Enum("ScalableDimensionValueSet", known | further)
    responses.ScalableDimensionValueSet = models.ScalableDimensionValueSet
    application = DomainDispatcherApplication(create_backend_app)
    server = make_server("127.0.0.1", 0, application, threaded=True, request_handler=Quiet)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}"


def run(program, endpoint, region):
    """Runs a program that leads itself by its environment."""
    environment = KEYS | {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "NO_PROXY": "127.0.0.1",
    }
    done = subprocess.run(
        [sys.executable, program], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    if done.returncode or done.stdout or done.stderr:
        raise RuntimeError(f"{program} ended with {done.returncode}:\n{done.stdout}{done.stderr}")


def read_back(session, endpoint, region):
    """Everything that scales in a region."""

    def client(service):
        return session.client(
            service,
            endpoint_url=endpoint,
            region_name=region,
            aws_access_key_id="test",
            aws_secret_access_key="test",
            config=Config(retries={"max_attempts": 1}, proxies={}),
        )

    scaling = client(SERVICE)
    of_service = {"ServiceNamespace": "sagemaker"}
    return {
        "targets": scaling.describe_scalable_targets(**of_service)["ScalableTargets"],
        "policies": scaling.describe_scaling_policies(**of_service)["ScalingPolicies"],
        "scheduled_actions": scaling.describe_scheduled_actions(**of_service)["ScheduledActions"],
        "alarms": client("cloudwatch").describe_alarms()["MetricAlarms"],
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", nargs="+", type=Path, metavar="FOLDER")
    arguments = parser.parse_args()
    session = boto3.session.Session()
    regions = session.get_available_regions(SERVICE)
    if len(arguments.folders) > len(regions):
        sys.exit(f"{len(arguments.folders)} folders and {len(regions)} regions; expected a region for each")
    placed = list(zip(arguments.folders, regions))
    endpoint = start_moto()
    try:
        with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
            list(pool.map(lambda place: run(place[0] / "apply.py", endpoint, place[1]), placed))
    except (OSError, RuntimeError, subprocess.TimeoutExpired) as error:
        sys.exit(str(error))
    found = {str(folder): read_back(session, endpoint, region) for folder, region in placed}
    print(json.dumps(found, default=str))


if __name__ == "__main__":
    main()
