"""What a step says, checked to be something that can be stored and told: a bad word may fail its own task and nothing
else. Whoever posts results is a stranger's program, so nothing about its types and sizes may be assumed."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any

from libs.base.errors import ApiError
from services.pipelines.domain.catalog.documents import check_json
from services.pipelines.domain.steps.values import StoredArtifact

TEXT_BYTES_MAX = 1 << 20
"""Of one output parameter, or of one artifact's metadata: it is stored with the task and handed on in requests; larger
things are artifacts."""
ERROR_MAX = 16_384
NAME_MAX, URI_MAX, SIZE_MAX = 253, 2000, 2**63 - 1
DIGEST = re.compile(r"[!-~]{0,253}")


class BadOutput(ValueError):
    """An output that is not what the component promised."""


def said(error: str) -> str:
    """A step's own words about what went wrong, as every store and every client can take them."""
    text = error[:ERROR_MAX].encode("utf-8", "replace").decode()
    return text.replace("\x00", "?")


def check_parameter(name: str, value: Any) -> None:
    _check(f"output parameter {name!r}", value)


def checked(slot: str, made: StoredArtifact) -> StoredArtifact:
    """The artifact, with what is no number in its metadata as text: a loss that is NaN is worth knowing."""
    where = f"output artifact {slot!r}"
    _text(f"{where}: its name", made.name, NAME_MAX)
    _text(f"{where}: its uri", made.uri, URI_MAX)
    if not DIGEST.fullmatch(made.digest):
        raise BadOutput(
            f"{where}: its digest {_short(made.digest)} is no digest, such as sha256:<64 hexadecimal digits>"
        )
    if not 0 <= made.size <= SIZE_MAX:
        raise BadOutput(f"{where}: its size {_short(made.size)} is no number of bytes")
    metadata = _finite(made.metadata, f"{where}: its metadata")
    _check(f"{where}: its metadata", metadata)
    return StoredArtifact(**{**vars(made), "metadata": metadata})


def _text(where: str, value: str, most: int) -> None:
    if not value or len(value) > most:
        raise BadOutput(f"{where} has {len(value)} characters; from 1 to {most} are taken")
    _check(where, value)


def _check(where: str, value: Any) -> None:
    try:
        check_json(value, where)
        size = len(json.dumps(value))
    except ApiError as error:
        raise BadOutput(error.message) from None
    except (ValueError, RecursionError) as error:  # a number of thousands of digits, lists inside of lists
        raise BadOutput(f"{where} cannot be written as JSON: {error}") from None
    if size > TEXT_BYTES_MAX:
        raise BadOutput(f"{where} is larger than {TEXT_BYTES_MAX} bytes; make it an artifact")


def _finite(value: Any, where: str) -> Any:
    """NaN and infinity as protobuf's JSON writes them."""
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    try:
        if isinstance(value, Mapping):
            return {key: _finite(each, where) for key, each in value.items()}
        return [_finite(each, where) for each in value] if isinstance(value, list) else value
    except RecursionError:
        raise BadOutput(f"{where} is nested too deeply") from None


def _short(value: Any) -> str:
    text = ascii(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
