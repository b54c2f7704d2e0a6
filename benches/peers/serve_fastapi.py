"""FastAPI, tuned: the body is read and the reply written by orjson, without pydantic or a thread pool.

    MODEL_FILE=model.onnx uvicorn serve_fastapi:app --loop uvloop --http httptools --no-access-log
"""

import os

import orjson
from fastapi import FastAPI, Request, Response
from onnx_model import OnnxModel

app = FastAPI(openapi_url=None)
model = OnnxModel(os.environ["MODEL_FILE"])


@app.get("/ping")
async def ping():
    return Response()


@app.post("/invocations")
async def invocations(request: Request):
    document = orjson.loads(await request.body())
    outputs = model.run(model.read(document["instances"]))
    body = orjson.dumps({"predictions": outputs}, option=orjson.OPT_SERIALIZE_NUMPY)
    return Response(body, media_type="application/json")
