"""The REST face of the model server: V1, V2, the binary extension, and what it refuses."""

import gzip
import json

import numpy as np
import pytest

from tests.services.serving.models import ROWS

FLAT = [value for row in ROWS for value in row]
TENSOR = {"name": "x", "shape": [3, 4], "datatype": "FP32", "data": FLAT}
RAW = np.array(ROWS, dtype="<f4").tobytes()


def binary(tensor: dict, raw: bytes = RAW, **rest: object) -> tuple[bytes, dict[str, str]]:
    head = json.dumps({"inputs": [tensor], **rest}).encode()
    return head + raw, {"inference-header-content-length": str(len(head))}


BINARY_TENSOR = {"name": "x", "shape": [3, 4], "datatype": "FP32", "parameters": {"binary_data_size": len(RAW)}}


async def test_all_protocols_of_a_model_agree(client_of):
    client = client_of("sklearn")
    v1 = await client.post("/v1/models/m:predict", json={"instances": ROWS})
    v2 = await client.post("/v2/models/m/infer", json={"id": "7", "model_name": "m", "inputs": [TENSOR]})
    body, headers = binary(BINARY_TENSOR, parameters={"binary_data_output": True})
    raw = await client.post("/v2/models/m/versions/1/infer", content=body, headers=headers)
    assert v1.json() == {"predictions": [0, 2, 1]}
    assert v2.json() == {
        "model_name": "m",
        "model_version": "1",
        "id": "7",
        "outputs": [{"name": "predict", "shape": [3], "datatype": "INT64", "data": [0, 2, 1]}],
    }
    length = int(raw.headers["inference-header-content-length"])
    assert json.loads(raw.content[:length])["outputs"][0]["parameters"] == {"binary_data_size": 24}
    assert np.frombuffer(raw.content[length:], "<i8").tolist() == [0, 2, 1]


async def test_probabilities_come_when_they_are_asked_for(client_of):
    wanted = [{"name": "predict_proba"}]
    answer = await client_of("sklearn").post("/v2/models/m/infer", json={"inputs": [TENSOR], "outputs": wanted})
    (output,) = answer.json()["outputs"]
    assert output["shape"] == [3, 3]
    assert np.array(output["data"]).reshape(3, 3).sum(axis=1) == pytest.approx([1, 1, 1])


@pytest.mark.parametrize(
    ("which", "inputs", "outputs"),
    [
        ("sklearn", [("input-0", "FP64", [-1, 4])], [("predict", "INT64", [-1]), ("predict_proba", "FP64", [-1, 3])]),
        ("onnx", [("X", "FP32", [-1, 4])], [("output_label", "INT64", [-1]), ("output_probability", "FP32", [-1, -1])]),
        ("xgboost", [("input-0", "FP32", [-1, 4])], [("predict", "FP32", [-1, 3])]),
        ("exported", [("measurements", "FP32", [-1, 4])], [("linear", "FP32", [-1, 3]), ("linear_1", "FP32", [-1, 1])]),
        ("script", [("input", "FP32", [-1])], [("output-0", "FP32", [-1])]),
    ],
)
async def test_metadata_tells_the_models_own_names_shapes_and_types(client_of, which, inputs, outputs):
    document = (await client_of(which).get("/v2/models/m")).json()
    told = {key: [(t["name"], t["datatype"], t["shape"]) for t in document[key]] for key in ("inputs", "outputs")}
    assert told == {"inputs": inputs, "outputs": outputs}
    assert document["versions"] == ["1"]


@pytest.mark.parametrize("which", ["onnx", "xgboost", "exported", "script"])
async def test_every_format_predicts_the_same_over_json_and_raw_bytes(client_of, which):
    client = client_of(which)
    plain = (await client.post("/v2/models/m/infer", json={"inputs": [TENSOR]})).json()["outputs"]
    body, headers = binary(BINARY_TENSOR)
    raw = (await client.post("/v2/models/m/infer", content=body, headers=headers)).json()["outputs"]
    assert plain == raw
    assert all(output["shape"][0] == 3 for output in plain)


async def test_several_outputs_answer_v1_as_one_object_a_row(client_of):
    rows = (await client_of("exported").post("/v1/models/m:predict", json={"instances": ROWS})).json()["predictions"]
    assert len(rows) == 3
    assert {key: len(value) for key, value in rows[0].items()} == {"linear": 3, "linear_1": 1}


async def test_a_compressed_body_is_inflated(client_of):
    body = gzip.compress(json.dumps({"inputs": [TENSOR]}).encode())
    answer = await client_of("sklearn").post("/v2/models/m/infer", content=body, headers={"content-encoding": "gzip"})
    assert answer.json()["outputs"][0]["data"] == [0, 2, 1]


async def test_health_tells_readiness_until_the_drain_begins(client_of, engine_of):
    client, engine = client_of("sklearn"), engine_of("sklearn")
    assert (await client.get("/v2/health/ready")).json() == {"ready": True}
    engine.draining = True
    try:
        draining = await client.get("/v2/health/ready")
        assert (draining.status_code, draining.json()) == (503, {"ready": False})
        still = await client.post("/v2/models/m/infer", json={"inputs": [TENSOR]})
        assert (still.status_code, still.headers["connection"]) == (200, "close")
    finally:
        engine.draining = False


async def test_a_model_that_is_still_loading_answers_503(client_of, engine_of):
    client, engine = client_of("sklearn"), engine_of("sklearn")
    model, engine.model = engine.model, None
    try:
        assert (await client.get("/v2/health/live")).status_code == 200
        for path in ("/v1/models/m", "/v2/models/m/ready"):
            assert (await client.get(path)).status_code == 503
    finally:
        engine.model = model


async def test_plain_facts_of_the_server(client_of):
    client = client_of("sklearn")
    assert (await client.get("/")).json() == {"status": "alive"}
    assert (await client.get("/v1/models")).json() == {"models": ["m"]}
    assert (await client.get("/v1/models/m")).json() == {"name": "m", "ready": True}
    assert (await client.get("/v2")).json()["extensions"] == ["binary_tensor_data"]
    await client.post("/v2/models/m/infer", json={"inputs": [TENSOR]})
    told = (await client.get("/metrics")).text
    assert "millstream_model_requests_total" in told
    assert "millstream_model_ready 1.0" in told and 'millstream_model_info{model="' in told
    assert "millstream_model_predictions_in_hand 0.0" in told


def tensor(**change: object) -> dict:
    return {"inputs": [{**TENSOR, **change}]}


@pytest.mark.parametrize(
    ("why", "body", "words"),
    [
        ("not an object", [1], "must be a JSON object"),
        ("no inputs", {}, "inputs must be a non-empty list"),
        ("an unknown datatype", tensor(datatype="FP31"), "unknown datatype 'FP31'"),
        ("a negative dimension", tensor(shape=[-1, 4]), "non-negative"),
        ("a shape that does not fit the data", tensor(shape=[2, 4]), "needs 8 values, got 12"),
        ("a shape that does not fit the model", tensor(shape=[4, 3]), "expected shape [-1, 4]"),
        ("an absurd shape", tensor(shape=[2**40, 2**40]), "too large"),
        ("ragged data", tensor(data=[[1, 2], [3]]), "ragged"),
        ("text for numbers", tensor(data=["a"] * 12), "does not hold FP32"),
        ("null for a number", tensor(data=[None] * 12), "does not hold FP32"),
        ("fractions for integers", tensor(datatype="INT64"), "does not hold INT64"),
        ("an integer out of range", tensor(datatype="INT8", data=[300] * 12), "outside the range of INT8"),
        ("text for a numeric model", tensor(datatype="BYTES", data=["a"] * 12), "expected datatype FP64, got BYTES"),
        ("an unknown output", {"inputs": [TENSOR], "outputs": [{"name": "zz"}]}, "unknown outputs ['zz']"),
        ("the same input twice", {"inputs": [TENSOR, TENSOR]}, "appears twice"),
        ("parameters of another kind", tensor(parameters=[]), "parameters must be an object"),
        ("shared memory", tensor(parameters={"shared_memory_region": "r"}), "not supported"),
        ("an id of another kind", {"id": 7, "inputs": [TENSOR]}, "id must be a str"),
    ],
)
async def test_a_malformed_request_is_refused_with_its_reason(client_of, why, body, words):
    answer = await client_of("sklearn").post("/v2/models/m/infer", json=body)
    assert answer.status_code == 400, why
    assert words in answer.json()["error"]


@pytest.mark.parametrize(
    ("why", "headers", "raw", "words"),
    [
        ("a header length beyond the body", {"inference-header-content-length": "99999"}, RAW, "beyond the body"),
        ("a header length that is no number", {"inference-header-content-length": "-1"}, RAW, "whole number"),
        ("too few raw bytes", {}, RAW[:-1], "past the end"),
        ("raw bytes that nobody claims", {}, RAW + b"x", "belong to no input"),
    ],
)
async def test_a_malformed_binary_request_is_refused(client_of, why, headers, raw, words):
    body, own = binary(BINARY_TENSOR, raw)
    answer = await client_of("sklearn").post("/v2/models/m/infer", content=body, headers=own | headers)
    assert answer.status_code == 400, why
    assert words in answer.json()["error"]


async def test_unknown_names_and_routes_are_404_in_the_protocols_words(client_of):
    client = client_of("sklearn")
    for path in ("/v1/models/zz:predict", "/v2/models/zz/infer"):
        answer = await client.post(path, json={"instances": ROWS})
        assert (answer.status_code, answer.json()) == (404, {"error": "Model with name zz does not exist."})
    assert (await client.post("/v2/models/m/versions/9/infer", json={})).status_code == 404
    assert (await client.get("/nowhere")).json() == {"error": "no route /nowhere"}
    assert (await client.get("/v2/models/m/infer")).status_code == 405


async def test_a_body_over_the_limit_is_413_compressed_or_not(client_of):
    client, large = client_of("sklearn"), b" " * (2 << 20)
    assert (await client.post("/v2/models/m/infer", content=large)).status_code == 413
    bomb = await client.post("/v2/models/m/infer", content=gzip.compress(large), headers={"content-encoding": "gzip"})
    assert bomb.status_code == 413
    odd = await client.post("/v2/models/m/infer", content=b"", headers={"content-encoding": "br"})
    assert odd.status_code == 415


async def test_a_large_body_is_answered_like_a_small_one(client_of):
    body = {"inputs": [{**TENSOR, "shape": [30_000, 4], "data": FLAT * 10_000}]}
    answer = await client_of("onnx").post("/v2/models/m/infer", json=body)
    assert answer.json()["outputs"][0]["data"] == [0, 2, 1] * 10_000
