"""What a viewer draws of an artifact: figures, a confusion matrix, a curve, a text; from its type and metadata alone.

The shapes of metadata are those that kfp.dsl writes (types/artifact_types.py of kfp 2).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from services.pipelines.domain.runs import Artifact

Object = dict[str, Any]
TEXTS = {"system.HTML": "html", "system.Markdown": "markdown"}
"""Those whose bytes are wanted."""


def view(artifact: Artifact, text: str | None = None) -> Object:
    """`text` are the bytes of what is a text. `kind` is none for what has no picture."""
    if artifact.kind in TEXTS:
        return {"kind": TEXTS[artifact.kind], "text": text or ""}
    if artifact.kind == "system.Metrics":
        return {"kind": "metrics", "metrics": _figures(artifact.metadata)}
    if artifact.kind == "system.ClassificationMetrics":
        return {"kind": "classification", **_classification(artifact.metadata)}
    if artifact.kind == "system.SlicedClassificationMetrics":
        return {"kind": "slices", "slices": artifact.metadata.get("evaluationSlices", [])}
    return {"kind": "none"}


def _figures(metadata: Mapping[str, Any]) -> Object:
    return {
        name: value
        for name, value in metadata.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }


def _classification(metadata: Mapping[str, Any]) -> Object:
    """Steps write what they like into metadata: what is not of the shape is left out."""
    found: Object = {}
    matrix = metadata.get("confusionMatrix")
    if isinstance(matrix, Mapping):
        labels = [each.get("displayName", "") for each in _mappings(matrix.get("annotationSpecs"))]
        found["confusion_matrix"] = {
            "labels": labels,
            "rows": [each.get("row", []) for each in _mappings(matrix.get("rows"))],
        }
    if points := _mappings(metadata.get("confidenceMetrics")):
        found["roc_curve"] = [
            {
                "threshold": each.get("confidenceThreshold"),
                "true_positive_rate": each.get("recall"),
                "false_positive_rate": each.get("falsePositiveRate"),
            }
            for each in points
        ]
    return found


def _mappings(value: Any) -> list[Mapping[str, Any]]:
    return [each for each in value if isinstance(each, Mapping)] if isinstance(value, list) else []
