"""A compiled pipeline and its platform document as they are stored: read from YAML, split, and named by their digest.

It must not assume that the pipeline makes sense; the intermediate representation is read elsewhere.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from libs.base import yamltext
from libs.base.errors import BadRequest, TooLarge

Object = dict[str, Any]
NODES_MAX = 2_000_000
"""Values in a document with its aliases written out; ten thousand tasks have about a quarter of a million."""
DEPTH_MAX = 100
DOCUMENTS_MAX = 100
"""Empty ones among them, which count for nothing."""


@dataclass(frozen=True)
class Document:
    """`spec` is the PipelineSpec, `platforms` the `platforms` of the second document, if any."""

    spec: Object
    platform: Object | None = None

    def shown(self) -> Object:
        """As KFP's API carries it: the spec alone where there is nothing about platforms."""
        if self.platform is None:
            return self.spec
        return {"pipeline_spec": self.spec, "platform_spec": self.platform}

    def text(self) -> str:
        """One text for equal documents, whatever order their fields were written in."""
        return json.dumps(self.shown(), sort_keys=True, separators=(",", ":"), ensure_ascii=False)

    @property
    def digest(self) -> str:
        return "sha256:" + hashlib.sha256(self.text().encode()).hexdigest()

    @property
    def name(self) -> str:
        """What its author called it; empty where nothing was said."""
        info = self.spec.get("pipelineInfo")
        return str(info.get("name") or "") if isinstance(info, dict) else ""


def from_yaml(text: str, where: str = "uploadfile") -> Document:
    """Raises BadRequest or TooLarge."""
    try:
        read = yamltext.read(text, documents=DOCUMENTS_MAX, depth=DEPTH_MAX, values=NODES_MAX)
    except yamltext.TooMuch as error:
        raise TooLarge(f"{where}: {error}") from None
    except yamltext.BadYaml as error:
        raise BadRequest(f"{where}: not YAML: {error}") from None
    found = [each for each in read if each is not None]
    if not 1 <= len(found) <= 2:
        raise BadRequest(f"{where}: {len(found)} documents: a compiled pipeline has one, and one more for platforms")
    for each in found:
        check_json(each, where)
    return _document(found[0], found[1] if len(found) > 1 else None, where)


def from_json(sent: Any, where: str = "pipeline_spec") -> Document:
    """From the field of a request: a spec, or `{"pipeline_spec": ..., "platform_spec": ...}`. Raises BadRequest."""
    check_json(sent, where)
    if isinstance(sent, dict) and "pipeline_spec" in sent:
        return _document(sent["pipeline_spec"], sent.get("platform_spec") or None, f"{where}.pipeline_spec")
    return _document(sent, None, where)


def stored(text: str) -> Document:
    """Back from `Document.text`."""
    sent = json.loads(text)
    return Document(sent["pipeline_spec"], sent["platform_spec"]) if "pipeline_spec" in sent else Document(sent)


def _document(spec: Any, platform: Any, where: str) -> Document:
    if not isinstance(spec, dict):
        raise BadRequest(f"{where}: not a compiled pipeline but {type(spec).__name__}")
    if spec.get("kind") == "Workflow" or "apiVersion" in spec:
        raise BadRequest(f"{where}: this was compiled by kfp 1 for Argo: compile it with kfp 2")
    if "root" not in spec:
        raise BadRequest(f"{where}.root: missing: send what kfp's Compiler().compile wrote")
    if platform is not None and not (isinstance(platform, dict) and isinstance(platform.get("platforms", {}), dict)):
        raise BadRequest(f"{where}: the second document has no `platforms`")
    return Document(spec, platform if platform and platform.get("platforms") else None)


def check_json(value: Any, where: str) -> None:
    """Refuses what JSON cannot carry, and what a few aliases of YAML blow up to. Raises BadRequest, TooLarge."""
    _count(value, where, {}, 0)


def _count(value: Any, where: str, known: dict[int, int | None], depth: int) -> int:
    """How many values there are, aliases written out; each is walked through once."""
    if not isinstance(value, dict | list):
        _check_leaf(value, where)
        return 1
    if depth > DEPTH_MAX:
        raise TooLarge(f"{where}: nested deeper than {DEPTH_MAX}")
    if id(value) in known:
        counted = known[id(value)]
        if counted is None:
            raise BadRequest(f"{where}: an alias of YAML leads back to itself")
        return counted
    known[id(value)] = None
    if isinstance(value, dict):
        _check_keys(value, where)
    total = 1 + sum(_count(each, where, known, depth + 1) for each in _inside(value))
    if total > NODES_MAX:
        raise TooLarge(f"{where}: more than {NODES_MAX} values")
    known[id(value)] = total
    return total


def _inside(value: Any) -> Any:
    return value.values() if isinstance(value, dict) else value


def _check_keys(value: Mapping[Any, Any], where: str) -> None:
    for key in value:
        if not isinstance(key, str):
            raise BadRequest(f"{where}: the key {key!r} is not a text: put it in quotes")
        _check_leaf(key, where)


def _check_leaf(value: Any, where: str) -> None:
    if isinstance(value, str):
        if "\x00" in value:
            raise BadRequest(f"{where}: a text holds NUL")
        try:
            value.encode()
        except UnicodeEncodeError:
            raise BadRequest(f"{where}: a text holds half of a character (a lone surrogate)") from None
    elif isinstance(value, float) and not math.isfinite(value):
        raise BadRequest(f"{where}: {value!r} is no number that JSON can carry")
    elif not (value is None or isinstance(value, bool | int | float)):
        raise BadRequest(f"{where}: {value!r} is a {type(value).__name__}: put it in quotes")
