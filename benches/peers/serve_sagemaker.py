"""AWS' inference toolkit in front of multi-model-server: the entry point of a container, and the user's module.

    SAGEMAKER_PROGRAM=serve_sagemaker.py serve_sagemaker.py CONFIG LOG_CONFIG

The toolkit writes its settings to /etc and takes its own log settings, with an
access log: both are put elsewhere, by the names that it has for them.
"""

import sys
from pathlib import Path

import orjson
from onnx_model import OnnxModel


def model_fn(model_dir):
    return OnnxModel(Path(model_dir) / "model.onnx")


def transform_fn(model, body, content_type, accept):
    outputs = model.run(model.read(orjson.loads(body)["instances"]))
    return orjson.dumps({"predictions": outputs}, option=orjson.OPT_SERIALIZE_NUMPY), accept


def main(config, log_config):
    from sagemaker_inference import model_server

    model_server.MMS_CONFIG_FILE = config
    model_server.DEFAULT_MMS_LOG_FILE = log_config
    model_server.start_model_server()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
