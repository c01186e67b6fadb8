"""What a step left behind as the service is told it: parameters from files, artifacts by their digests."""

from __future__ import annotations

import json
import os
from typing import Any

from .places import Places, list_of
from .transfers import Unstorable, described, mark

TEXT_BYTES_MAX = 1 << 20


class Unreadable(Exception):
    """What the step wrote is not what an executor writes."""


class Answer:
    """`message` is the part of the result that tells of outputs, `files` has the path of the
    bytes of each URI that is to be stored."""

    def __init__(self) -> None:
        self.files: dict[str, str] = {}
        self._marks: dict[str, tuple[int, int]] = {}
        self.message: dict[str, Any] = {"files": {}, "values": {}, "artifacts": {}}

    def add(self, uri: str, path: str, seen: tuple[int, int]) -> None:
        self.files[uri], self._marks[path] = path, seen

    def check(self) -> None:
        """Raises Unstorable if a child of the step wrote to an output after its digest was taken: whoever reads it
        would find other bytes, and so would all who get it from the cache."""
        for path, seen in self._marks.items():
            if not os.path.exists(path) or mark(path) != seen:
                name = os.path.basename(path)
                raise Unstorable(f"{name!r} was still written to: a step ends what it has started before it ends")


def collected(order: dict[str, Any], places: Places) -> Answer:
    """Raises Unreadable, naming the output."""
    found, written = Answer(), _executor_output(places.file(order["outputFile"]))
    found.message["values"] = {
        name: value for name, value in (written.get("parameterValues") or {}).items() if name in order["parameters"]
    }
    for name, given in order["parameters"].items():
        if name not in found.message["values"] and (text := _text(name, places.file(given["file"]))) is not None:
            found.message["files"][name] = text
    for slot in order["artifacts"]:
        said = list_of(((written.get("artifacts") or {}).get(slot["name"]) or {}).get("artifacts")) or [{}]
        artifacts = [_artifact(slot, each, order["root"], places, found) for each in said]
        found.message["artifacts"][slot["name"]] = artifacts
    return found


def _executor_output(path: str) -> dict[str, Any]:
    if not os.path.exists(path):
        return {}
    try:
        with open(path, encoding="utf-8") as file:
            read = json.load(file)
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"the executor's output file is not JSON: {error}") from None
    if not isinstance(read, dict):
        raise Unreadable("the executor's output file is not an object")
    return read


def _text(name: str, path: str) -> str | None:
    if not os.path.isfile(path):
        return None
    if os.path.getsize(path) > TEXT_BYTES_MAX:
        raise Unreadable(f"output parameter {name!r} is larger than {TEXT_BYTES_MAX} bytes; make it an artifact")
    with open(path, "rb") as file:
        data = file.read()
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise Unreadable(f"output parameter {name!r} is no text in UTF-8; make it an artifact") from None


def _artifact(slot: dict[str, Any], said: dict[str, Any], root: str, places: Places, found: Answer) -> dict[str, Any]:
    """A step may point an artifact to bytes elsewhere; only what lies below the attempt's own root is stored."""
    told = str(said.get("uri") or slot["uri"])
    uri = places.uri(told, root)
    path = str(said.get("custom_path") or said.get("customPath") or places.path(told))
    facts: dict[str, Any] = {}
    if uri.startswith(f"{root}/"):
        try:
            facts, stored = described(path, uri)
        except Unstorable as problem:
            raise Unreadable(f"output artifact {slot['name']!r} {problem}") from None
        for file, target, seen in stored:
            found.add(target, file, seen)
    return {
        "name": str(said.get("name") or slot["name"]),
        "uri": uri,
        "metadata": said.get("metadata") or {},
        "schemaTitle": slot["schemaTitle"],
        **facts,
    }
