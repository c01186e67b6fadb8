"""Models of every format and from every kind of place are served by the running platform and answer as they should."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
import xgboost
from millstream.client import Client
from skl2onnx import to_onnx
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

from libs.testing.files import file_server
from tests.clients.models import s3
from tests.platform import Platform

FEATURES, SPECIES = load_iris(return_X_y=True)
ROWS = FEATURES[::15].astype("float32")
MODEL = LogisticRegression(max_iter=500).fit(FEATURES, SPECIES)
WRITE = """
import joblib
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
features, species = load_iris(return_X_y=True)
joblib.dump(LogisticRegression(max_iter=500).fit(features, species), "/models/iris/model.joblib")
"""


def service(name: str, form: str, uri: str) -> dict[str, Any]:
    return {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {"name": name},
        "spec": {"predictor": {"model": {"modelFormat": {"name": form}, "storageUri": uri}}},
    }


def put(platform: Platform, key: str, body: bytes) -> str:
    s3(platform).put_object("millstream", key, io.BytesIO(body), len(body))
    return f"s3://millstream/{key.rpartition('/')[0]}"


def booster() -> xgboost.Booster:
    return xgboost.train({"objective": "multi:softmax", "num_class": 3}, xgboost.DMatrix(FEATURES, SPECIES), 5)


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[str]:
    """A plain web server on loopback with a model on it."""
    joblib.dump(MODEL, tmp_path / "model.joblib")
    with file_server() as site:
        site.files["model.joblib"] = (tmp_path / "model.joblib").read_bytes()
        yield f"{site.url}/model.joblib"


def put_into_claim(client: Client) -> None:
    """A claim, and a Job that trains a model into it."""
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    client.apply({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "models"}, "spec": spec})
    container = {
        "name": "write",
        "image": "python:3.11",
        "command": ["bash", "-c", f"mkdir -p /models/iris && python -c '{WRITE}'"],
        "volumeMounts": [{"name": "models", "mountPath": "/models"}],
    }
    pod = {
        "restartPolicy": "Never",
        "containers": [container],
        "volumes": [{"name": "models", "persistentVolumeClaim": {"claimName": "models"}}],
    }
    job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "write"}, "spec": {"template": {"spec": pod}}}
    client.apply(job)
    client.wait("jobs", "write", "Complete", timeout_s=90)


@pytest.mark.timeout(300)
def test_every_format_and_every_place(platform: Platform, shelf: str) -> None:
    trees = booster()
    onnx = to_onnx(MODEL, ROWS[:1], options={"zipmap": False}).SerializeToString()
    expected = MODEL.predict(ROWS).tolist()
    by_trees = trees.predict(xgboost.DMatrix(ROWS)).astype(int).tolist()
    with Client.from_home(platform.home) as client:
        put_into_claim(client)
        wanted = {
            "from-claim": ("sklearn", "pvc://models/iris", expected),
            "from-web": ("sklearn", shelf, expected),
            "by-onnx": ("onnx", put(platform, "sources/onnx/model.onnx", onnx), expected),
            "by-trees": ("xgboost", put(platform, "sources/trees/model.json", bytes(trees.save_raw("json"))), by_trees),
        }
        for name, (form, uri, _) in wanted.items():
            client.apply(service(name, form, uri))
        for name, (_, _, answer) in wanted.items():
            ready = client.wait("inferenceservices", name, "Ready", timeout_s=120)
            assert _ask(client, ready["status"]["url"], name) == answer, name


def _ask(client: Client, url: str, name: str) -> list[int]:
    """Predicted classes over V2, by the first output."""
    inputs = client.request("GET", f"{url}/v2/models/{name}").json()["inputs"]
    tensor = {"name": inputs[0]["name"], "shape": list(ROWS.shape), "datatype": "FP32", "data": ROWS.ravel().tolist()}
    output = client.request("POST", f"{url}/v2/models/{name}/infer", json={"inputs": [tensor]}).json()["outputs"][0]
    values = np.array(output["data"]).reshape(output["shape"])
    return [
        int(value) for value in (values.argmax(axis=1) if values.ndim > 1 and values.shape[1] > 1 else values.ravel())
    ]
