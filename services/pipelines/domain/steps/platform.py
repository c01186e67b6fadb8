"""An executor's part of the kubernetes platform document with the parameters in it resolved; still that document."""

from collections.abc import Mapping
from typing import Any

from services.pipelines.domain.steps.placeholders import PlaceholderError, Scope

CHANNEL = "pipelinechannel--"
NAMES = {
    "secretAsEnv": ("secretName", "secretNameParameter"),
    "secretAsVolume": ("secretName", "secretNameParameter"),
    "configMapAsEnv": ("configMapName", "configMapNameParameter"),
    "configMapAsVolume": ("configMapName", "configMapNameParameter"),
    "imagePullSecret": ("secretName", "secretNameParameter"),
    "pvcMount": ("pvcName", "pvcNameParameter"),
}
"""Lists whose entries name an object, in the field of old or by a parameter."""
JSONS = {"tolerations": "tolerationJson", "nodeAffinity": "nodeAffinityJson"}
"""Lists whose entries may be whole objects, or lists of them, that a parameter holds."""


def resolved(document: Mapping[str, Any], scope: Scope) -> dict[str, Any]:
    """Every name a text, every object there. Raises PlaceholderError."""
    found = {key: value for key, value in document.items() if key not in NAMES and key not in JSONS}
    for key, (field, parameter) in NAMES.items():
        if document.get(key):
            found[key] = [_named(key, entry, field, parameter, scope) for entry in document[key]]
    for key, field in JSONS.items():
        if document.get(key):
            found[key] = [each for entry in document[key] for each in _objects(key, entry, field, scope)]
    if selector := document.get("nodeSelector"):
        found["nodeSelector"] = {"labels": _labels(selector, scope)}
    return found


def _named(key: str, entry: Mapping[str, Any], field: str, parameter: str, scope: Scope) -> dict[str, Any]:
    if entry.get(parameter):
        name = _value(key, entry[parameter], scope)
    elif key == "pvcMount" and not entry.get(field):
        name = _value(key, entry, scope)
    else:
        name = scope.resolve(str(entry.get(field) or ""))
    if not isinstance(name, str) or not name:
        raise PlaceholderError(f"kubernetes: {key}: a name is wanted, not {name!r}")
    return {**{k: v for k, v in entry.items() if k != parameter}, field: name}


def _objects(key: str, entry: Mapping[str, Any], field: str, scope: Scope) -> list[dict[str, Any]]:
    if not entry.get(field):
        return [dict(entry)]
    value = _value(key, entry[field], scope)
    many = value if isinstance(value, list) else [value] if value else []
    if not all(isinstance(each, dict) for each in many):
        raise PlaceholderError(f"kubernetes: {key}: an object or a list of objects is wanted, not {value!r}")
    return [{**each, "native": True} for each in many]


def _labels(selector: Mapping[str, Any], scope: Scope) -> dict[str, str]:
    if not selector.get("nodeSelectorJson"):
        return dict(selector.get("labels") or {})
    value = _value("nodeSelector", selector["nodeSelectorJson"], scope)
    if not isinstance(value, dict):
        raise PlaceholderError(f"kubernetes: nodeSelector: labels by name are wanted, not {value!r}")
    return {str(name): str(label) for name, label in value.items()}


def _value(key: str, spec: Mapping[str, Any], scope: Scope) -> Any:
    """KFP's InputParameterSpec; what it takes from elsewhere, the task has among its inputs as a channel."""
    if "runtimeValue" in spec:
        value = spec["runtimeValue"].get("constant")
        return scope.value(value) if isinstance(value, str) else value
    if "constant" in spec:
        return scope.value(spec["constant"])
    if name := spec.get("componentInputParameter"):
        candidates = [f"{CHANNEL}{name}", name]
    else:
        output = spec.get("taskOutputParameter") or {}
        candidates = [f"{CHANNEL}{output.get('producerTask')}-{output.get('outputParameterKey')}"]
    for candidate in candidates:
        if candidate in scope.inputs.parameters:
            return scope.inputs.parameters[candidate]
    there = ", ".join(sorted(scope.inputs.parameters)) or "nothing"
    raise PlaceholderError(f"kubernetes: {key} wants the input {candidates[0]!r}, the task has {there}")
