"""Where a trained version came from, as custom properties and one sentence."""

from __future__ import annotations

import math
from typing import Any

from contracts.events.training.v1 import TrainJobSucceeded

STRING, DOUBLE = "MetadataStringValue", "MetadataDoubleValue"


def text(value: str) -> dict[str, Any]:
    return {"metadataType": STRING, "string_value": value.replace("\x00", "")}


def number(value: float) -> dict[str, Any]:
    """JSON has no NaN or infinity: those are kept as words."""
    return {"metadataType": DOUBLE, "double_value": value} if math.isfinite(value) else text(str(value))


def properties(event: TrainJobSucceeded) -> dict[str, Any]:
    """`job.*`, `dataset.uri`, `code.digest`, `metric.<name>`, `environment.<name>`, and what the job ran on."""
    plain = {
        "namespace": event.namespace,
        "job.namespace": event.namespace,
        "job.name": event.name,
        "job.uid": event.uid,
        "dataset.uri": event.dataset_uri,
        "code.digest": event.code_digest,
        "runtime": event.runtime,
        "started.at": event.started_at.isoformat() if event.started_at else None,
        "finished.at": event.finished_at.isoformat() if event.finished_at else None,
        **{f"environment.{name}": value for name, value in event.environment.items()},
    }
    kept = {name: text(value) for name, value in plain.items() if value is not None}
    return kept | {f"metric.{name}": number(value) for name, value in event.metrics.items()}


def sentence(event: TrainJobSucceeded) -> str:
    metrics = ", ".join(f"{name} {value:.4g}" for name, value in sorted(event.metrics.items()))
    origin = f"Trained by TrainJob {event.namespace}/{event.name}"
    data = f" on {event.dataset_uri}" if event.dataset_uri else ""
    return f"{origin}{data}{': ' + metrics if metrics else ''}."
