"""The gRPC face of the model server over a real socket."""

from collections.abc import AsyncIterator

import grpc
import numpy as np
import pytest

from services.serving.workloads.model_server import rpc
from services.serving.workloads.model_server.proto import inference_pb2 as pb
from tests.services.serving.models import ROWS

RAW = np.array(ROWS, dtype="<f4").tobytes()
FLAT = [value for row in ROWS for value in row]


@pytest.fixture
async def call(engine_of) -> AsyncIterator:
    server, port = await rpc.start(engine_of("sklearn"), "127.0.0.1", 0, 1 << 20)
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:

        async def ask(method, message, answer=None):
            raw = message if isinstance(message, bytes) else message.SerializeToString()
            got = await channel.unary_unary(f"/{rpc.SERVICE}/{method}")(raw, timeout=10)
            return answer.FromString(got) if answer else got

        yield ask
    await server.stop(0)


def request(raw=None, **tensor):
    made = pb.ModelInferRequest(model_name="m", id="7")
    made.inputs.add(name="x", **{"datatype": "FP32", "shape": [3, 4], **tensor})
    if raw is not None:
        made.raw_input_contents.append(raw)
    return made


async def test_typed_contents_are_answered_typed_and_raw_contents_raw(call):
    typed = request()
    typed.inputs[0].contents.fp32_contents.extend(FLAT)
    answer = await call("ModelInfer", typed, pb.ModelInferResponse)
    assert (answer.id, answer.model_name, answer.model_version) == ("7", "m", "1")
    assert list(answer.outputs[0].contents.int64_contents) == [0, 2, 1]
    answer = await call("ModelInfer", request(RAW), pb.ModelInferResponse)
    assert np.frombuffer(answer.raw_output_contents[0], "<i8").tolist() == [0, 2, 1]


async def test_health_and_metadata(call):
    assert (await call("ServerLive", pb.ServerLiveRequest(), pb.ServerLiveResponse)).live
    assert (await call("ServerReady", pb.ServerReadyRequest(), pb.ServerReadyResponse)).ready
    assert (await call("ModelReady", pb.ModelReadyRequest(name="m"), pb.ModelReadyResponse)).ready
    told = await call("ModelMetadata", pb.ModelMetadataRequest(name="m"), pb.ModelMetadataResponse)
    assert (told.platform, told.inputs[0].datatype, list(told.inputs[0].shape)) == ("sklearn", "FP64", [-1, 4])


async def test_a_model_that_is_loading_is_not_ready_rather_than_unknown(call, engine_of):
    engine = engine_of("sklearn")
    model, engine.model = engine.model, None
    try:
        assert not (await call("ModelReady", pb.ModelReadyRequest(name="m"), pb.ModelReadyResponse)).ready
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await call("ModelInfer", request(RAW))
        assert refused.value.code() == grpc.StatusCode.UNAVAILABLE
    finally:
        engine.model = model


@pytest.mark.parametrize(
    ("why", "message", "code", "words"),
    [
        ("garbled bytes", b"\xff\xff\xff", "INVALID_ARGUMENT", "not a valid ModelInferRequest"),
        ("an unknown model", pb.ModelInferRequest(model_name="zz"), "NOT_FOUND", "Model with name zz does not exist."),
        ("no inputs", pb.ModelInferRequest(model_name="m"), "INVALID_ARGUMENT", "inputs must not be empty"),
        ("too few raw bytes", request(RAW[:-1]), "INVALID_ARGUMENT", "needs 48 bytes, got 47"),
        ("no contents", request(), "INVALID_ARGUMENT", "needs 12 values, got 0"),
        ("a negative dimension", request(RAW, shape=[-3, -4]), "INVALID_ARGUMENT", "non-negative"),
        ("an unknown datatype", request(RAW, datatype="FP31"), "INVALID_ARGUMENT", "unknown datatype"),
        ("typed half precision", request(datatype="FP16"), "INVALID_ARGUMENT", "raw_input_contents"),
    ],
)
async def test_malformed_requests_are_refused_with_their_reason(call, why, message, code, words):
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await call("ModelInfer", message)
    assert (refused.value.code().name, words in refused.value.details()) == (code, True), why
