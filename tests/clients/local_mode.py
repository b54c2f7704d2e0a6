"""The SageMaker Python SDK's local mode with the image: endpoints and batch transform in containers.

Runs with version 2 and with version 3 of the SDK, whose local modes are one
code in two packages. It needs a docker engine, docker-compose (or the compose
plugin), and the image; no AWS account: the keys mean nothing, models and data
lie in folders, and the SDK's telemetry is switched off.

Takes the folders of the demo models digits and churn, and of the test model
sum4 (the sum of four columns).
"""

import argparse
import io
import json
import logging
import os
import socket
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

import boto3
import numpy as np

import home
from checks import Checks, expect, expect_in, expect_near

# It warns of version 2's age and of each call; both are known here.
logging.disable(logging.WARNING)
os.environ["SAGEMAKER_SUPPRESS_V2_WARNING"] = "1"

try:
    from sagemaker.core.local import LocalSession
    from sagemaker.core.deserializers import base as deserializers
    from sagemaker.core.serializers import base as serializers

    VERSION = 3
except ImportError:
    from sagemaker import base_deserializers as deserializers
    from sagemaker import base_serializers as serializers
    from sagemaker.local import LocalSession
    from sagemaker.model import Model
    from sagemaker.predictor import Predictor

    VERSION = 2

MODELS = Path(__file__).parents[2] / "models"
NO_TELEMETRY = {"SchemaVersion": "1.0", "SageMaker": {"PythonSDK": {"Modules": {"TelemetryOptOut": True}}}}
CSV, LINES = "text/csv", "application/jsonlines"
# SIGKILL comes about ten seconds after SIGTERM.
PATIENCE_SECONDS = 10


def docker(*arguments):
    """What docker says."""
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"docker {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout.strip()


def free_port():
    """A port that was free a moment ago."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Local:
    """The SDK's local mode, with one image."""

    def __init__(self, image):
        self.image = image
        boto = boto3.Session("test", "test", region_name="eu-west-1")
        self.session = LocalSession(boto, sagemaker_config=NO_TELEMETRY)
        self.client = self.session.sagemaker_client
        self.ports = []

    def containers(self, ports):
        """The containers of the image that serve on these ports of the host, ended ones too."""
        found = []
        for container in docker("ps", "--all", "--quiet", "--no-trunc", "--filter", f"ancestor={self.image}").split():
            bindings = json.loads(docker("inspect", "--format", "{{json .HostConfig.PortBindings}}", container))
            if any(binding["HostPort"] in ports for (binding, *_) in bindings.values()):
                found.append(container)
        return found

    def new_container(self):
        """The one that was started last: it has the last port."""
        (new,) = self.containers(self.ports[-1:])
        return new

    def remove_containers(self):
        """Removes those that were started here, and no other."""
        for container in self.containers(self.ports):
            docker("rm", "--force", container)

    def set_port(self):
        """Gives the next container a port of its own."""
        port = free_port()
        self.ports.append(str(port))
        self.session.config = {"local": {"local_code": False, "serving_port": port}}

    def model(self, name, data):
        """A model, of a folder or of an archive."""
        self.set_port()
        container = {"Image": self.image, "ModelDataUrl": f"file://{data}", "Environment": {}}
        self.client.create_model(name, container)

    def endpoint(self, name, data):
        """An endpoint in service, and its container."""
        self.model(name, data)
        variant = {"VariantName": "AllTraffic", "ModelName": name, "InstanceType": "local", "InitialInstanceCount": 1}
        self.client.create_endpoint_config(name, [variant])
        self.client.create_endpoint(name, name)
        expect(self.client.describe_endpoint(name)["EndpointStatus"], "InService", "the status")
        return self.new_container()

    def invoke(self, data, serializer, deserializer, **parameters):
        """What comes back for data, through the SDK's own serializers."""
        answer = self.session.sagemaker_runtime_client.invoke_endpoint(
            Body=serializer.serialize(data),
            EndpointName="any",
            ContentType=serializer.CONTENT_TYPE,
            Accept=", ".join(deserializer.ACCEPT),
            **parameters,
        )
        # Version 2 says only what was asked for.
        content_type = answer["Body"].headers["Content-Type"]
        return deserializer.deserialize(answer["Body"], content_type)

    def leave(self, name, container):
        """The exit status of the endpoint's container once it is told to leave, and the seconds that it took."""
        begun = time.monotonic()
        self.client.delete_endpoint(name)
        status = docker("wait", container)
        return int(status), time.monotonic() - begun

    def transform(self, name, data, rows, content_type, **parameters):
        """Batch transform of one file; what its output file holds."""
        with tempfile.TemporaryDirectory() as folder:
            source, target = Path(folder, "in"), Path(folder, "out")
            source.mkdir()
            target.mkdir()
            (source / "rows").write_text(rows)
            self.model(name, data)
            self.client.create_transform_job(
                TransformJobName=name,
                ModelName=name,
                TransformInput={
                    "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"file://{source}"}},
                    "ContentType": content_type,
                    "SplitType": "Line",
                },
                TransformOutput={"S3OutputPath": f"file://{target}", "Accept": content_type},
                TransformResources={"InstanceType": "local", "InstanceCount": 1},
                **parameters,
            )
            expect(self.client.describe_transform_job(name)["TransformJobStatus"], "Completed", "the job")
            (found,) = target.rglob("rows.out")
            return found.read_text()


def a_folder(checks, local, digits):
    """An endpoint on a model folder, and the serializers."""
    request = json.loads((MODELS / "digits/request.json").read_bytes())
    known = json.loads((MODELS / "digits/reply.json").read_bytes())["predictions"][0]
    row = np.array(request["instances"][0], dtype=np.float32)
    to_json, from_json = serializers.JSONSerializer(), deserializers.JSONDeserializer()
    container = None
    with checks("an_endpoint_on_a_folder"):
        container = local.endpoint("folder", digits)
    with checks("the_command_is_serve"):
        expect(docker("inspect", "--format", "{{json .Args}}", container), '["serve"]')
    with checks("json_serializer"):
        (found,) = local.invoke(request, to_json, from_json)["predictions"]
        expect(found["label"], known["label"])
        expect_near(found["probabilities"], known["probabilities"])
    with checks("csv_serializer"):
        csv = serializers.CSVSerializer()
        ((label, *probabilities),) = local.invoke(row, csv, deserializers.CSVDeserializer())
        expect(int(label), known["label"])
        expect_near(probabilities, known["probabilities"])
        found = local.invoke([list(row), list(row)], csv, deserializers.CSVDeserializer())
        expect([int(line[0]) for line in found], [known["label"]] * 2)
    with checks("numpy_serializer"):
        found = local.invoke(row[np.newaxis], serializers.NumpySerializer(), from_json)
        expect(found["label"], [known["label"]])
        expect_near(found["probabilities"][0], known["probabilities"])
    with checks("bytes_serializer"):
        found = local.invoke(row.tobytes(), serializers.IdentitySerializer(), from_json)
        expect(found["label"], [known["label"]])
    with checks("json_lines_serializer"):
        lines, from_lines = serializers.JSONLinesSerializer(), deserializers.JSONLinesDeserializer()
        found = local.invoke([row.tolist()] * 3, lines, from_lines)
        expect([one["label"] for one in found], [known["label"]] * 3)
    with checks("two_hundred_records_in_parts"):
        found = local.invoke([row.tolist()] * 200, lines, from_lines)
        expect([one["label"] for one in found], [known["label"]] * 200)
    with checks("parameters_of_the_call"):
        parameters = {"CustomAttributes": "trace=abc", "TargetModel": "a.tar.gz", "InferenceId": "id-1"}
        (found,) = local.invoke(request, to_json, from_json, **parameters)["predictions"]
        expect(found["label"], known["label"])
    with checks("a_refusal_is_what_comes_back"):
        found = local.invoke({"instances": [[1, 2, 3]]}, to_json, from_json)
        expect(found["code"], 400)
        expect_in("64", found["error"])
    with checks("no_colours_in_the_log"):
        log = docker("logs", container)
        expect_in("ready", log, "the log")
        expect("\x1b" in log, False, "whether there are escapes")
    with checks("it_lives_without_a_region"):
        environment = docker("inspect", "--format", "{{json .Config.Env}}", container)
        expect("REGION" in environment, False, f"a region in {environment}")
        expect_in("AWS_ACCESS_KEY_ID", environment)
        expect("ERROR" in log or "panicked" in log, False, f"an error in {log}")
    with checks("sigterm_ends_it_well"):
        status, seconds = local.leave("folder", container)
        expect(status, 0, "the exit status")
        expect(seconds < PATIENCE_SECONDS, True, f"{seconds:.1f} s below {PATIENCE_SECONDS}")


def an_archive(checks, local, churn, sum4):
    """Endpoints on model.tar.gz, as training jobs leave them."""
    with tempfile.TemporaryDirectory() as folder:
        archives = {}
        for name, source in (("churn", churn), ("sum4", sum4)):
            archives[name] = Path(folder, name, "model.tar.gz")
            archives[name].parent.mkdir()
            with tarfile.open(archives[name], "w:gz") as archive:
                for file in Path(source).iterdir():
                    if not file.name.startswith("."):
                        archive.add(file.resolve(), file.name)
        with checks("an_archive_with_text_columns"):
            request = json.loads((MODELS / "churn/request.json").read_bytes())
            known = json.loads((MODELS / "churn/reply.json").read_bytes())["predictions"]
            container = local.endpoint("churn", archives["churn"])
            found = local.invoke(request, serializers.JSONSerializer(), deserializers.JSONDeserializer())["predictions"]
            expect([one["label"] for one in found], [one["label"] for one in known])
            for one, other in zip(found, known):
                expect_near(one["probabilities"], other["probabilities"])
            expect(local.leave("churn", container)[0], 0, "the exit status")
        if VERSION == 2:
            a_deployed_model(checks, local, archives["churn"], request, known)
        with checks("numpy_both_ways"):
            container = local.endpoint("sum4", archives["sum4"])
            rows = np.arange(400, dtype=np.float32).reshape(100, 4)
            found = local.invoke(rows, serializers.NumpySerializer(), deserializers.NumpyDeserializer())
            expect((found.dtype, found.shape), (np.dtype(np.float32), (100, 1)))
            expect(found[:, 0].tolist(), rows.sum(axis=1).tolist())
            expect(local.leave("sum4", container)[0], 0, "the exit status")


def a_deployed_model(checks, local, archive, request, known):
    """What a user of version 2 writes; in version 3 the layer above local mode fails by itself."""
    with checks("model_deploy_and_predictor"):
        local.set_port()
        model = Model(
            image_uri=local.image,
            model_data=f"file://{archive}",
            role="arn:aws:iam::123456789012:role/none",
            sagemaker_session=local.session,
            predictor_cls=Predictor,
        )
        predictor = model.deploy(
            initial_instance_count=1,
            instance_type="local",
            serializer=serializers.JSONSerializer(),
            deserializer=deserializers.JSONDeserializer(),
        )
        container = local.new_container()
        found = predictor.predict(request)["predictions"]
        expect([one["label"] for one in found], [one["label"] for one in known])
        predictor.delete_endpoint()
        expect(docker("wait", container), "0", "the exit status")


def batch(checks, local, sum4):
    """Batch transform: one line out for one line in, in order."""
    count = 3000
    rows = "".join(f"{i},1,2,3\n" for i in range(count))
    wanted = [float(i + 6) for i in range(count)]

    def sums(text):
        return [float(line) for line in text.splitlines()]

    def ended_well():
        expect(docker("wait", local.new_container()), "0", "the exit status")

    with checks("transform_as_the_container_says"):
        # Neither strategy nor payload: the SDK asks /execution-parameters.
        expect(sums(local.transform("as-it-says", sum4, rows, CSV)), wanted)
        ended_well()
    with checks("transform_of_single_records"):
        few = "".join(rows.splitlines(keepends=True)[:200])
        found = local.transform("single", sum4, few, CSV, BatchStrategy="SingleRecord")
        expect(sums(found), wanted[:200])
        ended_well()
    with checks("transform_of_json_lines"):
        lines = "".join(f"[{i}, 1, 2, 3]\n" for i in range(count))
        parameters = {"BatchStrategy": "MultiRecord", "MaxPayloadInMB": 1}
        found = local.transform("lines", sum4, lines, LINES, **parameters)
        expect([json.loads(line) for line in found.splitlines()], [[one] for one in wanted])
        ended_well()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--image", required=True)
    for name in ("digits", "churn", "sum4"):
        parser.add_argument(f"--{name}", required=True, metavar="FOLDER")
    arguments = parser.parse_args()
    os.environ["NO_PROXY"] = "localhost,127.0.0.1"
    # docker-compose 1 is a Python program with packages of its own.
    os.environ.pop("PYTHONPATH", None)
    home.guard()
    checks = Checks()
    # The SDK shows the containers' logs; they matter where something has failed.
    sys.stdout = log = io.StringIO()
    local = Local(arguments.image)
    try:
        a_folder(checks, local, arguments.digits)
        an_archive(checks, local, arguments.churn, arguments.sum4)
        batch(checks, local, arguments.sum4)
    finally:
        local.remove_containers()
    with checks("nothing_phones_home"):
        expect(home.wanted(), [], "where it wanted to go")
    if checks.failed:
        print(log.getvalue(), file=sys.stderr)
    checks.finish()


if __name__ == "__main__":
    main()
