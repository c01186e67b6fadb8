"""What is made of an attempt's answer: outputs of the promised types, or why it failed. A step's word is checked."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from services.pipelines.domain.codes import DATA_LOSS, INTERNAL, INVALID_ARGUMENT
from services.pipelines.domain.engine.records import DAMAGED, Artifact, Error, Outputs
from services.pipelines.domain.engine.words import Failed, Succeeded
from services.pipelines.domain.importing import foreign
from services.pipelines.domain.steps.storable import BadOutput, check_parameter, checked, said
from services.pipelines.domain.steps.values import ArtifactSlot, StepOrder, StepResult, StoredArtifact

LOG = "executor-logs"
"""The output under which the kept end of a step's output is found, as in KFP."""


MEND = "it is no longer given out from the cache: a retry of the run makes it anew"


def outcome(order: StepOrder, result: StepResult) -> Succeeded | Failed:
    """What the engine is told. A failed attempt may be tried again as the user's retries say; so may one whose outputs
    are not as promised."""
    if not result.succeeded:
        told = said(result.error) or f"the step ended with exit code {result.exit_code}"
        if result.damaged and result.damaged in order.digests:
            return Failed(Error(f"{told}; {MEND}", DATA_LOSS, DAMAGED), final=True)
        return Failed(Error(told, INTERNAL, "Failed"))
    try:
        return Succeeded(Outputs(_parameters(order, result), artifacts(order, result)))
    except BadOutput as error:
        return Failed(Error(f"the step ran, but {error}", INVALID_ARGUMENT, "BadOutput"))


def _parameters(order: StepOrder, result: StepResult) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, kind in order.parameters.items():
        if result.values.get(name) is not None:
            found[name] = _checked(name, kind, result.values[name])
        elif name in result.files:
            found[name] = _checked(name, kind, _read(name, kind, result.files[name]))
        elif name not in order.optional_parameters:
            raise BadOutput(f"output parameter {name!r} was not written; return it, or write its file")
    return found


def _read(name: str, kind: str, text: str) -> Any:
    """A file's text as a value of the type; the type is checked afterwards."""
    if kind == "STRING":
        return text
    if kind == "BOOLEAN" and text.strip().lower() in ("true", "false", "1", "0", "t", "f"):
        return text.strip().lower() in ("true", "1", "t")
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise BadOutput(f"output parameter {name!r} is {kind}, and its file holds {_short(text)}") from None


def _checked(name: str, kind: str, value: Any) -> Any:
    check_parameter(name, value)
    found = typed(kind, value)
    if found is None:
        raise BadOutput(f"output parameter {name!r} is {kind}, and the step gave {_short(value)}")
    return found


def typed(kind: str, value: Any) -> Any:
    """The value if it is of a type of the IR (a whole float is an integer as well), else None."""
    if kind in ("NUMBER_INTEGER", "NUMBER_DOUBLE"):
        if isinstance(value, bool) or not isinstance(value, int | float):
            return None
        if kind == "NUMBER_DOUBLE":
            return _double(value)
        return int(value) if value == int(value) else None
    wanted: Mapping[str, type] = {"STRING": str, "BOOLEAN": bool, "LIST": list, "STRUCT": dict}
    return value if isinstance(value, wanted.get(kind, object)) else None


def _double(value: int | float) -> float | None:
    try:
        return float(value)
    except OverflowError:
        return None


def artifacts(order: StepOrder, result: StepResult) -> dict[str, tuple[Artifact, ...]]:
    """Every promised artifact, also one that nothing was written to: its URI is handed on as KFP does."""
    found = {slot.name: tuple(_artifacts(order, slot, result)) for slot in order.artifacts}
    if log := log_of(order, result):
        found[LOG] = (log,)
    return found


def log_of(order: StepOrder, result: StepResult) -> Artifact | None:
    """The kept output of an attempt, also of a failed one; None where what is said of it cannot be true."""
    try:
        return _artifact(order, ArtifactSlot(LOG, f"{order.root}/{LOG}"), result.log) if result.log else None
    except BadOutput:
        return None


def _artifacts(order: StepOrder, slot: ArtifactSlot, result: StepResult) -> list[Artifact]:
    many = result.artifacts.get(slot.name)
    if many is None:
        return [Artifact(slot.name, slot.uri, slot.schema_title, slot.schema_version)]
    return [_artifact(order, slot, each) for each in many]


def _artifact(order: StepOrder, slot: ArtifactSlot, told: StoredArtifact) -> Artifact:
    made = checked(slot.name, told)
    if is_foreign(made.uri, order):
        raise BadOutput(f"output artifact {slot.name!r} names {made.uri}, which is not of namespace {order.namespace}")
    return Artifact(
        name=made.name,
        uri=made.uri,
        schema_title=slot.schema_title,
        schema_version=slot.schema_version,
        metadata=made.metadata,
        digest=made.digest,
        size=made.size,
    )


def is_foreign(uri: str, order: StepOrder) -> bool:
    """Whether it lies in the platform's bucket, but outside of the namespace's parts of it."""
    return bool(foreign(uri, order.namespace, urlsplit(order.root).netloc))


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
