"""A runtime of MLServer for ONNX, which has none of its own; requests are of the V2 protocol."""

from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceResponse
from mlserver.utils import get_model_uri
from onnx_model import OnnxModel


class OnnxRuntime(MLModel):
    async def load(self):
        self.model = OnnxModel(await get_model_uri(self.settings))
        return True

    async def predict(self, payload):
        arrays = {tensor.name: NumpyCodec.decode_input(tensor) for tensor in payload.inputs}
        outputs = self.model.run(arrays)
        tensors = [NumpyCodec.encode_output(name, array) for name, array in outputs.items()]
        return InferenceResponse(model_name=self.name, outputs=tensors)
