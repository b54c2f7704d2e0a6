"""BentoML with one worker and without access logs: `MODEL_FILE=model.onnx bentoml serve serve_bentoml:Onnx`."""

import os

import bentoml
from onnx_model import OnnxModel


@bentoml.service(workers=1, logging={"access": {"enabled": False}})
class Onnx:
    def __init__(self):
        self.model = OnnxModel(os.environ["MODEL_FILE"])

    # Asynchronous: called on the event loop, without a hop to a thread pool.
    @bentoml.api(route="/invocations")
    async def predict(self, instances: list) -> dict:
        outputs = self.model.run(self.model.read(instances))
        return {"predictions": {name: array.tolist() for name, array in outputs.items()}}
