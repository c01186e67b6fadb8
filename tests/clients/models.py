"""A small real model in the platform's S3, for the clients to serve."""

from __future__ import annotations

import io
from dataclasses import dataclass

import joblib
from minio import Minio
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

from tests.platform import Platform


@dataclass(frozen=True)
class Iris:
    """Where the model lies, some flowers to ask about and what the model itself answers for them."""

    uri: str
    rows: list[list[float]]
    expected: list[int]


def store_iris(platform: Platform, key: str) -> Iris:
    """Train on the real iris data and write model.joblib below `key`."""
    features, species = load_iris(return_X_y=True)
    model = LogisticRegression(max_iter=500).fit(features, species)
    body = io.BytesIO()
    joblib.dump(model, body)
    store = s3(platform)
    if not store.bucket_exists("millstream"):
        store.make_bucket("millstream")
    store.put_object("millstream", f"{key}/model.joblib", io.BytesIO(body.getvalue()), len(body.getvalue()))
    rows = features[::15]
    return Iris(f"s3://millstream/{key}", rows.tolist(), model.predict(rows).tolist())


def s3(platform: Platform) -> Minio:
    """A client of the platform's S3 with the credentials of the home's env file."""
    env = platform.env
    endpoint = env["AWS_ENDPOINT_URL"].removeprefix("http://")
    return Minio(
        endpoint,
        access_key=env["AWS_ACCESS_KEY_ID"],
        secret_key=env["AWS_SECRET_ACCESS_KEY"],
        secure=False,
        region="us-east-1",
    )
