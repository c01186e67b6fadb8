"""No input may make the model server fail: whatever comes is answered, or refused with a 4xx and a sentence."""

import asyncio
import json

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.serving.workloads.model_server import rpc, tensors
from services.serving.workloads.model_server.errors import RequestError
from services.serving.workloads.model_server.http import application
from services.serving.workloads.model_server.proto import inference_pb2 as pb

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)
DATATYPE = st.sampled_from(tensors.DATATYPES)
TENSOR = st.fixed_dictionaries(
    {"name": st.sampled_from(["x", "y", ""]) | JSON, "shape": st.lists(st.integers(-2, 5), max_size=3) | JSON},
    optional={
        "datatype": DATATYPE | JSON,
        "data": st.lists(st.integers(-3, 300) | st.floats() | st.text(max_size=3), max_size=12) | JSON,
        "parameters": st.fixed_dictionaries({"binary_data_size": st.integers(-1, 60) | JSON}) | JSON,
    },
)
REQUEST = st.fixed_dictionaries(
    {"inputs": st.lists(TENSOR, max_size=2) | JSON},
    optional={"outputs": JSON, "parameters": JSON, "id": JSON, "model_name": JSON},
)
SETTINGS = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


def post(engine, path, body, headers):
    async def ask():
        transport = httpx.ASGITransport(application(engine, 1 << 20))
        async with httpx.AsyncClient(transport=transport, base_url="http://model") as client:
            return await client.post(path, content=body, headers=headers)

    return asyncio.run(ask())


def check(answer):
    assert answer.status_code < 500, answer.text
    if answer.status_code >= 400:
        assert set(answer.json()) == {"error"}


@pytest.fixture(params=["sklearn", "onnx", "exported"])
def engine(request, engine_of):
    return engine_of(request.param)


def test_odd_v2_requests_with_and_without_raw_bytes(engine):
    @SETTINGS
    @given(REQUEST, st.binary(max_size=64), st.integers(-2, 2) | st.none())
    def fuzz(document, raw, offset):
        head = json.dumps(document).encode("utf-8", "surrogatepass")
        headers = {} if offset is None else {"inference-header-content-length": str(len(head) + offset)}
        check(post(engine, "/v2/models/m/infer", head + raw, headers))

    fuzz()


def test_odd_v1_requests(engine):
    @SETTINGS
    @given(st.fixed_dictionaries({}, optional={"instances": JSON, "inputs": JSON}) | JSON)
    def fuzz(document):
        body = json.dumps(document).encode("utf-8", "surrogatepass")
        check(post(engine, "/v1/models/m:predict", body, {}))

    fuzz()


def test_plain_bytes_and_odd_headers(engine):
    @SETTINGS
    @given(st.binary(max_size=80), st.sampled_from(["gzip", "deflate", "identity", "br"]), st.integers(-9, 10**20))
    def fuzz(body, encoding, length):
        headers = {"content-encoding": encoding, "inference-header-content-length": str(length)}
        check(post(engine, "/v2/models/m/infer", body, headers))

    fuzz()


def test_odd_grpc_messages(engine):
    @SETTINGS
    @given(
        st.lists(st.integers(-2, 5), max_size=3),
        DATATYPE | st.text(max_size=4),
        st.binary(max_size=64) | st.none(),
        st.lists(st.floats(width=32), max_size=12),
    )
    def fuzz(shape, datatype, raw, values):
        message = pb.ModelInferRequest(model_name="m")
        message.inputs.add(name="x", datatype=datatype, shape=shape)
        message.inputs[0].contents.fp32_contents.extend(values)
        if raw is not None:
            message.raw_input_contents.append(raw)
        try:
            asyncio.run(rpc.model_infer(engine, message))
        except RequestError as refused:
            assert refused.grpc_name in ("INVALID_ARGUMENT", "NOT_FOUND")

    fuzz()
