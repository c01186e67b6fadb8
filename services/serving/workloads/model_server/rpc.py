"""The gRPC face, inference.GRPCInferenceService; bytes are parsed here, so garbled ones are INVALID_ARGUMENT too."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from time import perf_counter
from typing import Any

import grpc
from google.protobuf.message import DecodeError, Message

from services.serving.workloads.model_server import tensors
from services.serving.workloads.model_server.engine import EXTENSIONS, Engine
from services.serving.workloads.model_server.errors import RequestError
from services.serving.workloads.model_server.model import Array
from services.serving.workloads.model_server.proto import inference_pb2 as pb

SERVICE = "inference.GRPCInferenceService"
CONTENTS = {
    "BOOL": "bool_contents",
    "INT8": "int_contents",
    "INT16": "int_contents",
    "INT32": "int_contents",
    "INT64": "int64_contents",
    "UINT8": "uint_contents",
    "UINT16": "uint_contents",
    "UINT32": "uint_contents",
    "UINT64": "uint64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    "BYTES": "bytes_contents",
}


async def server_live(engine: Engine, request: Any) -> Message:
    return pb.ServerLiveResponse(live=True)


async def server_ready(engine: Engine, request: Any) -> Message:
    return pb.ServerReadyResponse(ready=engine.ready)


async def model_ready(engine: Engine, request: Any) -> Message:
    try:
        engine.find(request.name, request.version)
    except RequestError as error:
        if error.code != 503:
            raise
        return pb.ModelReadyResponse(ready=False)
    return pb.ModelReadyResponse(ready=True)


async def server_metadata(engine: Engine, request: Any) -> Message:
    return pb.ServerMetadataResponse(name="millstream", version="0.1.0", extensions=EXTENSIONS)


async def model_metadata(engine: Engine, request: Any) -> Message:
    return pb.ModelMetadataResponse(**engine.metadata(request.name, request.version))


async def model_infer(engine: Engine, request: Any) -> Message:
    engine.find(request.model_name, request.model_version)
    raw = list(request.raw_input_contents)
    if raw and len(raw) != len(request.inputs):
        raise RequestError(f"{len(raw)} raw_input_contents for {len(request.inputs)} inputs")
    inputs: dict[str, Array] = {}
    for index, sent in enumerate(request.inputs):
        if not sent.name or sent.name in inputs:
            raise RequestError(f"inputs[{index}]: name {sent.name!r} is empty or appears twice")
        inputs[sent.name] = _array(sent, raw[index] if raw else None)
    if not inputs:
        raise RequestError("inputs must not be empty")
    datatypes = {sent.name: sent.datatype for sent in request.inputs}
    wanted = [output.name for output in request.outputs]
    results = await engine.infer(request.model_name, request.model_version, inputs, datatypes, wanted)
    return _response(engine, request, results, raw=bool(raw))


def _array(sent: Any, raw: bytes | None) -> Array:
    datatype = tensors.check_datatype(sent.name, sent.datatype)
    shape = tensors.check_shape(sent.name, list(sent.shape))
    if raw is not None:
        if sent.HasField("contents"):
            raise RequestError(f"input {sent.name}: contents and raw_input_contents exclude each other")
        return tensors.from_raw(sent.name, datatype, shape, raw)
    if datatype not in CONTENTS:
        raise RequestError(f"input {sent.name}: {datatype} must be sent in raw_input_contents")
    values = getattr(sent.contents, CONTENTS[datatype])
    if datatype == "BYTES":
        return _bytes(sent.name, shape, list(values))
    return tensors.from_values(sent.name, datatype, shape, list(values))


def _bytes(name: str, shape: tuple[int, ...], values: list[bytes]) -> Array:
    import numpy as np

    flat = np.empty(len(values), dtype=object)
    flat[:] = values
    return tensors.shaped(name, shape, flat)


def _response(engine: Engine, request: Any, results: dict[str, Array], raw: bool) -> Message:
    """Raw in, raw out; FP16 has no typed field, so it makes the whole answer raw."""
    response = pb.ModelInferResponse(model_name=engine.name, model_version=engine.version, id=request.id)
    named = {name: (array, tensors.datatype_of(array)) for name, array in results.items()}
    raw = raw or any(datatype not in CONTENTS for _, datatype in named.values())
    for name, (array, datatype) in named.items():
        output = response.outputs.add(name=name, datatype=datatype, shape=array.shape)
        if raw:
            response.raw_output_contents.append(tensors.to_raw(array))
        elif datatype == "BYTES":
            output.contents.bytes_contents.extend(tensors.as_bytes(v) for v in array.reshape(-1).tolist())
        else:
            getattr(output.contents, CONTENTS[datatype]).extend(array.reshape(-1).tolist())
    return response


METHODS: dict[str, tuple[type[Message], Callable[[Engine, Any], Awaitable[Message]]]] = {
    "ServerLive": (pb.ServerLiveRequest, server_live),
    "ServerReady": (pb.ServerReadyRequest, server_ready),
    "ModelReady": (pb.ModelReadyRequest, model_ready),
    "ServerMetadata": (pb.ServerMetadataRequest, server_metadata),
    "ModelMetadata": (pb.ModelMetadataRequest, model_metadata),
    "ModelInfer": (pb.ModelInferRequest, model_infer),
}


def _handler(engine: Engine, method: str) -> grpc.RpcMethodHandler:
    request_type, answer = METHODS[method]

    async def call(raw: bytes, context: grpc.aio.ServicerContext) -> bytes:
        begin, code = perf_counter(), "OK"
        try:
            return (await answer(engine, _parse(request_type, raw))).SerializeToString()
        except RequestError as error:
            code = error.grpc_name
            await context.abort(grpc.StatusCode[code], error.message)
            raise
        finally:
            engine.metrics.answered("grpc", method, code, perf_counter() - begin)

    return grpc.unary_unary_rpc_method_handler(call)


def _parse(request_type: type[Message], raw: bytes) -> Message:
    message = request_type()
    try:
        message.ParseFromString(raw)
    except DecodeError as error:
        raise RequestError(f"the message is not a valid {request_type.__name__}") from error
    return message


async def start(engine: Engine, host: str, port: int, max_body_bytes: int) -> tuple[grpc.aio.Server, int]:
    """A started server and the port it got (port 0: any free one). Raises OSError when the port is taken."""
    limits = [("grpc.max_receive_message_length", max_body_bytes), ("grpc.max_send_message_length", -1),
              ("grpc.so_reuseport", 0)]  # fmt: skip
    server = grpc.aio.server(options=limits)
    handlers = {method: _handler(engine, method) for method in METHODS}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
    bound = server.add_insecure_port(f"{host}:{port}")
    if not bound:
        raise OSError(f"cannot listen on {host}:{port}")
    await server.start()
    return server, bound
