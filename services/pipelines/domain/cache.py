"""Whether a step would do what was done before: a fingerprint of all that its outputs follow from, in named parts.

The ingredients are KFP's (backend/src/v2/cacheutils): inputs, outputs, command, image, claims. Nothing of a run, a
bucket or a host is among them, so that a laptop and a cluster agree.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from services.pipelines.domain.claims import is_claim
from services.pipelines.domain.engine.records import Artifact, TaskRecord, Values
from services.pipelines.domain.gates import is_gate
from services.pipelines.domain.ir.model import Component, ContainerExecutor, Pipeline, Task
from services.pipelines.domain.steps.places import WORKSPACE
from services.pipelines.domain.steps.values import StepOrder

SHOWN_MAX = 80
LONG = re.compile(r'\[?"?sha256[a-z-]*:[0-9a-f]{64}"?\]?')
"""A value that is only known by its digest: a long one, an artifact."""
HIT = "hit: nothing that its outputs depend on has changed"
FORM = "1"
"""Another one when the same parts come to mean something else: nothing kept before is found then."""


@dataclass(frozen=True)
class Fingerprint:
    """`key` finds what is kept; `parts` are short texts, each named by what it stands for."""

    key: str
    parts: Mapping[str, str]


def is_repeatable(order: StepOrder) -> bool:
    """Whether the step's outputs are all that it leaves behind: not so for claims, for what people decide, and for
    files in the run's workspace."""
    given = json.dumps([order.command, order.env, order.executor_input["inputs"]["parameterValues"]])
    in_workspace = bool(order.workspace) and WORKSPACE in given
    return not (is_claim(order.image) or is_gate(order.image) or in_workspace)


def fingerprint(pipeline: Pipeline, record: TaskRecord, order: StepOrder, task: Task | None) -> Fingerprint:
    """`order` is what the attempt would be told; an input that is only named (imported) counts by its URI."""
    component = pipeline.components[record.component]
    if task is not None and task.caching.key:
        parts = {"cache key": task.caching.key, **_outputs(component)}
    else:
        executor = pipeline.executor_of(record.component)
        assert isinstance(executor, ContainerExecutor)
        parts = {
            "image": order.image,
            "code": _digest([*executor.command, *executor.args]),
            **{f"env {name}": _short(value) for name, value in order.env},
            **_inputs(record.inputs),
            **_claims(order.platform),
            **_outputs(component),
        }
    return Fingerprint(key_of(parts), parts)


def key_of(parts: Mapping[str, str]) -> str:
    return f"sha256:{_digest([FORM, parts])}"


def hit(origin: Mapping[str, Any] | None) -> str:
    """Why what is kept fits, and where it was brought from if it was not made here."""
    if not origin:
        return HIT
    where = f"run {origin.get('run_id', '')} in namespace {origin.get('namespace', '')}"
    return f"{HIT}; brought from {where} on {origin.get('platform', '')}"


def explain(now: Mapping[str, str], kept: Sequence[Mapping[str, str]]) -> str:
    """Why nothing kept fits, in view of what was kept of the same task, the newest first: the nearest counts, for the
    others may be those of a loop's other items."""
    if not kept:
        return "miss: no earlier result of this step is kept"
    changes = min((_changes(now, before) for before in kept), key=len)
    return "miss: " + ("; ".join(changes) if changes else "the earlier result is no longer kept")


def _changes(now: Mapping[str, str], before: Mapping[str, str]) -> list[str]:
    told = [_change(name, before.get(name), now.get(name)) for name in {**before, **now}]
    return [one for one in told if one]


def _change(name: str, before: str | None, now: str | None) -> str:
    if before == now:
        return ""
    if before is None:
        return f"{name} is new ({now})"
    if now is None:
        return f"{name} is gone (it was {before})"
    if name == "code":
        return "the code changed"
    if LONG.fullmatch(before) and LONG.fullmatch(now):
        return f"{name} changed"
    return f"{name} changed ({before} -> {now})"


def _inputs(given: Values) -> dict[str, str]:
    parameters = {f"input {name}": _short(value) for name, value in given.parameters.items()}
    artifacts = {f"input {name}": _short([_content(one) for one in many]) for name, many in given.artifacts.items()}
    return {**parameters, **artifacts}


def _content(artifact: Artifact) -> str:
    return artifact.digest or artifact.uri


def _claims(platform: Mapping[str, Any]) -> dict[str, str]:
    mounts = platform.get("pvcMount") or ()
    return {"claims": _short(list(mounts))} if mounts else {}


def _outputs(component: Component) -> dict[str, str]:
    parameters = {name: str(spec.type) for name, spec in component.outputs.parameters.items()}
    artifacts = {name: spec.schema_title for name, spec in component.outputs.artifacts.items()}
    return {f"output {name}": kind for name, kind in {**parameters, **artifacts}.items()}


def _short(value: Any) -> str:
    """The value itself where it is short, so that people recognise it, else its digest. A text "1" is no number 1."""
    text = _text(value)
    return text if len(text) <= SHOWN_MAX else f"sha256:{sha256(text.encode()).hexdigest()}"


def _digest(value: Any) -> str:
    return sha256(_text(value).encode()).hexdigest()


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
