"""LitServe with one worker and its ZeroMQ queue: `MODEL_FILE=model.onnx serve_litserve.py PORT`."""

import os
import sys

import litserve
import orjson
from fastapi import Response
from onnx_model import OnnxModel


class OnnxApi(litserve.LitAPI):
    def setup(self, device):
        self.model = OnnxModel(os.environ["MODEL_FILE"])

    def decode_request(self, request):
        return self.model.read(request["instances"])

    def predict(self, arrays):
        return self.model.run(arrays)

    def encode_response(self, outputs):
        # Written here: LitServe's own way goes through FastAPI's encoder, value by value.
        body = orjson.dumps({"predictions": outputs}, option=orjson.OPT_SERIALIZE_NUMPY)
        return Response(body, media_type="application/json")


if __name__ == "__main__":
    server = litserve.LitServer(
        OnnxApi(api_path="/invocations"), accelerator="cpu", workers_per_device=1, fast_queue=True
    )
    server.run(
        host="127.0.0.1",
        port=int(sys.argv[1]),
        num_api_servers=1,
        log_level="warning",
        access_log=False,
        generate_client_file=False,
    )
