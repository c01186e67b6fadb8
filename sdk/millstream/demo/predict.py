"""Predictions over the Open Inference Protocol, as any REST client would ask for them."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from millstream.client import Client
from millstream.demo.data import Split

BATCH = 60


@dataclass(frozen=True)
class Answers:
    """Of the whole test split: the share of right answers and the latencies of the requests (seconds)."""

    accuracy: float
    latencies_s: list[float]
    predicted: list[int]


def predict_all(client: Client, url: str, model: str, test: Split) -> Answers:
    """Ask `url` for every row of the split, in batches, and compare with the labels."""
    predicted: list[int] = []
    latencies = []
    for start in range(0, len(test.labels), BATCH):
        began = time.perf_counter()
        predicted += predict(client, url, model, test.pixels[start : start + BATCH])
        latencies.append(time.perf_counter() - began)
    right = sum(int(a == b) for a, b in zip(predicted, test.labels, strict=True))
    return Answers(right / len(test.labels), latencies, predicted)


def predict(client: Client, url: str, model: str, pixels: Any) -> list[int]:
    """The digit with the highest score for each row of `pixels` (n, 64)."""
    tensor = {"name": "pixels", "shape": list(pixels.shape), "datatype": "FP32", "data": pixels.ravel().tolist()}
    answer = client.request("POST", f"{url}/v2/models/{model}/infer", json={"inputs": [tensor]}).json()
    output = answer["outputs"][0]
    width = output["shape"][-1]
    rows = [output["data"][i : i + width] for i in range(0, len(output["data"]), width)]
    return [max(range(width), key=row.__getitem__) for row in rows]
