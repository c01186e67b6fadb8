"""Runtimes that the place of installation brings along, as files in a folder; an empty or absent setting means none."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from libs.base.errors import MillstreamError
from services.trainer.domain.frameworks import Framework
from services.trainer.domain.runtime_rules import runtime_causes

KIND = "ClusterTrainingRuntime"


class BadRuntime(MillstreamError):
    """A file that is no runtime; the message names it, the field and what is wrong."""


def given(folder: str, frameworks: Sequence[Framework]) -> list[dict[str, Any]]:
    """The runtimes in `folder` (*.yaml), by file name; `frameworks` are those that an mlPolicy may name.

    Raises BadRuntime: better no new trainer than one without the runtimes that jobs refer to.
    """
    return [_read(file, frameworks) for file in sorted(Path(folder).glob("*.yaml"))] if folder else []


def _read(file: Path, frameworks: Sequence[Framework]) -> dict[str, Any]:
    try:
        found = yaml.safe_load(file.read_text())
    except (OSError, yaml.YAMLError) as error:
        raise BadRuntime(f"{file}: {error}") from error
    if not isinstance(found, dict) or found.get("kind") != KIND or not (found.get("metadata") or {}).get("name"):
        raise BadRuntime(f"{file}: expected a {KIND} with a name")
    for cause in runtime_causes(found, frameworks):
        raise BadRuntime(f"{file}: {cause.field}: {cause.message}")
    return found
