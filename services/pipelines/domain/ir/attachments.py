"""The shape of the kubernetes platform document, which travels as free JSON: a wrong one is refused when it is sent.

The fields are those of kubernetes_executor_config.proto (kubeflow/pipelines, kubernetes_platform). One that is not
known is refused: run without it, the step would be another one than its author meant.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from services.pipelines.domain.ir.problems import Problems

TEXT, WHOLE, FLAG, ANY, LABELS = "a text", "a whole number", "true or false", "anything", "texts by name"
MUST = "a text that must be there"
Shape = Any
"""One of the words above, {field: shape} of an object, or [shape] of a list's members."""

_OUTPUT: Shape = {"producerTask": TEXT, "outputParameterKey": TEXT}
_LATE: Shape = {
    "taskOutputParameter": _OUTPUT,
    "runtimeValue": {"constant": ANY, "constantValue": ANY, "runtimeParameter": TEXT},
    "componentInputParameter": TEXT,
    "taskFinalStatus": {"producerTask": TEXT},
    "parameterExpressionSelector": TEXT,
}
"""What the run will tell: InputParameterSpec of pipeline_spec.proto."""
_METADATA: Shape = {"labels": LABELS, "annotations": LABELS}
_EXPRESSIONS: Shape = [{"key": TEXT, "operator": TEXT, "values": [TEXT]}]


def _object_named(kind: str, **more: Shape) -> Shape:
    return [{f"{kind}Name": TEXT, f"{kind}NameParameter": _LATE, **more}]


def _variables(kind: str) -> Shape:
    return _object_named(kind, optional=FLAG, keyToEnv=[{f"{kind}Key": MUST, "envVar": MUST}])


EXECUTOR: Shape = {
    "secretAsVolume": _object_named("secret", mountPath=MUST, optional=FLAG),
    "secretAsEnv": _variables("secret"),
    "configMapAsVolume": _object_named("configMap", mountPath=MUST, optional=FLAG),
    "configMapAsEnv": _variables("configMap"),
    "imagePullSecret": _object_named("secret"),
    "imagePullPolicy": TEXT,
    "pvcMount": _object_named(
        "pvc",
        taskOutputParameter=_OUTPUT,
        constant=TEXT,
        componentInputParameter=TEXT,
        mountPath=MUST,
        subPath=TEXT,
    ),
    "emptyDirMounts": [{"volumeName": TEXT, "mountPath": MUST, "medium": TEXT, "sizeLimit": TEXT}],
    "enabledSharedMemory": {"volumeName": TEXT, "size": TEXT},
    "genericEphemeralVolume": [
        {
            "volumeName": MUST,
            "mountPath": MUST,
            "accessModes": [TEXT],
            "size": TEXT,
            "defaultStorageClass": FLAG,
            "storageClassName": TEXT,
            "metadata": _METADATA,
        }
    ],
    "nodeSelector": {"labels": LABELS, "nodeSelectorJson": _LATE},
    "tolerations": [
        {
            "key": TEXT,
            "operator": TEXT,
            "value": TEXT,
            "effect": TEXT,
            "tolerationSeconds": WHOLE,
            "tolerationJson": _LATE,
        }
    ],
    "nodeAffinity": [
        {"matchExpressions": _EXPRESSIONS, "matchFields": _EXPRESSIONS, "weight": WHOLE, "nodeAffinityJson": _LATE}
    ],
    "podAffinity": [
        {
            "matchPodExpressions": _EXPRESSIONS,
            "matchPodLabels": LABELS,
            "topologyKey": TEXT,
            "namespaces": [TEXT],
            "matchNamespaceExpressions": _EXPRESSIONS,
            "matchNamespaceLabels": LABELS,
            "weight": WHOLE,
            "anti": FLAG,
        }
    ],
    "podMetadata": _METADATA,
    "fieldPathAsEnv": [{"name": MUST, "fieldPath": MUST}],
    "activeDeadlineSeconds": WHOLE,
    "securityContext": {"runAsUser": WHOLE, "runAsGroup": WHOLE, "runAsNonRoot": FLAG},
}


def check_documents(documents: Mapping[str, Any], problems: Problems) -> bool:
    """Whether all executors' documents have their shape."""
    before = len(problems.found)
    with problems.at("platforms", "kubernetes", "deploymentSpec", "executors"):
        for name, document in documents.items():
            with problems.at(name):
                _check(document, EXECUTOR, problems)
    return len(problems.found) == before


def _check(value: Any, shape: Shape, problems: Problems) -> None:
    """A null is as good as nothing."""
    if value is None or shape == ANY:
        return
    if isinstance(shape, dict):
        _check_fields(value, shape, problems)
    elif isinstance(shape, list):
        _check_members(value, shape[0], problems)
    elif not _is(value, shape):
        problems.add(f"{shape} is wanted, not {value!r:.100}")


def _check_fields(value: Any, shape: Mapping[str, Shape], problems: Problems) -> None:
    if not isinstance(value, Mapping):
        problems.add(f"an object is wanted, not {value!r:.100}")
        return
    for name, inner in shape.items():
        if inner == MUST and not value.get(name):
            problems.add("missing", name)
    for name, inner in value.items():
        with problems.at(name):
            if name not in shape:
                problems.add(f"no such field is known here (there are: {', '.join(shape)})")
            else:
                _check(inner, shape[name], problems)


def _check_members(value: Any, shape: Shape, problems: Problems) -> None:
    if not isinstance(value, list):
        problems.add(f"a list is wanted, not {value!r:.100}")
        return
    for at, inner in enumerate(value):
        with problems.at(f"[{at}]"):
            if inner is None:
                problems.add("null is no member of it")
            _check(inner, shape, problems)


def _is(value: Any, word: str) -> bool:
    if word in (TEXT, MUST):
        return isinstance(value, str)
    if word == FLAG:
        return isinstance(value, bool)
    if word == LABELS:
        return isinstance(value, Mapping) and all(isinstance(each, str) for each in value.values())
    return _is_whole(value)


def _is_whole(value: Any) -> bool:
    """protobuf writes 64 bits as text, and whole numbers come as floats through YAML."""
    if isinstance(value, str):
        digits = value.removeprefix("-")
        return digits.isascii() and digits.isdigit() and len(digits) < 20
    return isinstance(value, int | float) and not isinstance(value, bool) and value == value // 1
