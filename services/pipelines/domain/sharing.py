"""A kept result on its way from one platform to another: what is told of it, and what makes it believable.

Whoever brings one may be anybody: its key is made again from its parts, its outputs must be what the parts promise, and
every digest is compared with bytes by who stores them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from libs.base.errors import BadRequest
from services.pipelines.domain.cache import FORM, key_of
from services.pipelines.domain.catalog.documents import check_json
from services.pipelines.domain.engine.records import Artifact
from services.pipelines.domain.importing import foreign
from services.pipelines.domain.steps.places import SHARED, artifact_uri
from services.pipelines.domain.steps.results import LOG, typed
from services.pipelines.domain.steps.storable import BadOutput, check_parameter, checked
from services.pipelines.domain.steps.values import StoredArtifact

FILES_MAX = 10_000
PARTS_MAX = 5_000
WORD_MAX = 253
SHA = re.compile(r"[0-9a-f]{64}")
_RUN = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
ORIGIN = ("platform", "namespace", "run_id", "run", "task_id", "path")
PREFIX = "output "
"""Of the parts of a fingerprint that promise outputs; of artifacts all have the group in their title."""


@dataclass(frozen=True)
class File:
    """One object of an artifact: `path` is "" where the artifact is one file."""

    path: str
    sha256: str
    size: int


@dataclass(frozen=True)
class Carried:
    """An artifact and what it is made of; without files nobody wrote to it, or its bytes lie elsewhere for all."""

    artifact: Artifact
    files: tuple[File, ...] = ()


@dataclass(frozen=True)
class Brought:
    """A result that may be kept under its key."""

    key: str
    parts: Mapping[str, str]
    pipeline: str
    task: str
    parameters: Mapping[str, Any]
    artifacts: Mapping[str, tuple[Carried, ...]]
    origin: Mapping[str, str]

    def uid(self, namespace: str) -> str:
        """What stands for its task here; no task of another namespace can be meant by it."""
        return str(uuid5(NAMESPACE_URL, f"{namespace}/{self.key}"))

    def artifact_id(self, namespace: str, name: str, place: int) -> str:
        return str(uuid5(NAMESPACE_URL, f"{namespace}/{self.key}/{name}/{place}"))

    def uri(self, home: str, namespace: str, carried: Carried) -> str:
        """Where it lies here, below the namespace's own part of the bucket; who brings the same again means the same
        place."""
        run = self.origin["run_id"] if _RUN.fullmatch(self.origin["run_id"]) else "elsewhere"
        digest = carried.artifact.digest.partition(":")[2] or "nothing"
        return artifact_uri(f"{home}/{namespace}/{SHARED}/{run}/{digest}", carried.artifact.name)


def brought(told: Mapping[str, Any], namespace: str, bucket: str) -> Brought:
    """Raises BadRequest naming the field, its value and what to do."""
    check_json(told, "the result")
    if told.get("form") != FORM:
        raise BadRequest(f"form: {told.get('form')!r} is not {FORM!r}: both platforms must be of the same release")
    parts = _parts(told.get("parts"))
    if told.get("key") != key_of(parts):
        raise BadRequest(f"key: {str(told.get('key'))[:80]!r} is not the fingerprint of its parts: send it as it was")
    outputs = _object(told.get("outputs"), "outputs")
    artifacts = _object(outputs.get("artifacts") or {}, "outputs.artifacts")
    for part, kind in parts.items():
        name = part.removeprefix(PREFIX)
        if part.startswith(PREFIX) and "." in kind and name not in artifacts:
            raise BadRequest(f"outputs.artifacts.{name}: it is promised by the parts, and missing: send all of them")
    origin = _object(told.get("origin") or {}, "origin")
    return Brought(
        key=key_of(parts),
        parts=parts,
        pipeline=_word(told.get("pipeline"), "pipeline"),
        task=_word(told.get("task"), "task"),
        parameters=_parameters(_object(outputs.get("parameters") or {}, "outputs.parameters"), parts),
        artifacts={name: _carried(name, many, parts, namespace, bucket) for name, many in artifacts.items()},
        origin={name: _word(origin.get(name), f"origin.{name}", empty=True) for name in ORIGIN},
    )


def tree_digest(files: Sequence[File]) -> str:
    """As the launcher makes it of a folder; `files` in its order."""
    lines = [f"{one.sha256}  {one.path}\n" for one in files]
    return f"sha256-tree:{sha256(''.join(lines).encode()).hexdigest()}"


def walked(path: str) -> list[tuple[bool, str]]:
    """Sorts paths as the launcher walks through a folder: in each its files, then what is below."""
    *folders, name = path.split("/")
    return [*((True, folder) for folder in folders), (False, name)]


def _parts(told: Any) -> dict[str, str]:
    parts = _object(told, "parts")
    if len(parts) > PARTS_MAX or not all(isinstance(value, str) for value in parts.values()):
        raise BadRequest(f"parts: must be at most {PARTS_MAX} texts by their names")
    return parts


def _parameters(told: Mapping[str, Any], parts: Mapping[str, str]) -> dict[str, Any]:
    for name, value in told.items():
        kind = parts.get(f"{PREFIX}{name}", "")
        if not kind or "." in kind or typed(kind, value) is None:
            raise BadRequest(f"outputs.parameters.{name}: {str(value)[:80]!r} is not the {kind or 'nothing'} promised")
        try:
            check_parameter(name, value)
        except BadOutput as error:
            raise BadRequest(f"outputs.parameters.{name}: {error}") from None
    return dict(told)


def _carried(name: str, told: Any, parts: Mapping[str, str], namespace: str, bucket: str) -> tuple[Carried, ...]:
    where = f"outputs.artifacts.{name}"
    if name != LOG and "." not in parts.get(f"{PREFIX}{name}", ""):
        raise BadRequest(f"{where}: no such artifact is promised by the parts")
    if not isinstance(told, list):
        raise BadRequest(f"{where}: must be a list")
    return tuple(_one(name, _object(each, where), namespace, bucket) for each in told)


def _one(name: str, told: Mapping[str, Any], namespace: str, bucket: str) -> Carried:
    where = f"outputs.artifacts.{name}"
    try:
        artifact = Artifact.from_json({**told, "name": _word(told.get("name"), f"{where}.name"), "id": ""})
        metadata, size = dict(artifact.metadata), int(artifact.size)
        files = tuple(File(str(one["path"]), str(one["sha256"]), int(one["size"])) for one in told.get("files") or ())
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BadRequest(f"{where}: {error!r}: send what the other platform told") from None
    uri, digest = "" if files else str(artifact.uri), str(artifact.digest)
    title = _word(artifact.schema_title, f"{where}.type.schemaTitle", empty=True)
    version = _word(artifact.schema_version, f"{where}.type.schemaVersion", empty=True)
    artifact = Artifact(artifact.name, uri, title, version, metadata, digest, size)
    try:
        checked(name, StoredArtifact(artifact.name, uri or "its own place here", digest, size, len(files), metadata))
    except BadOutput as error:
        raise BadRequest(f"{where}: {error}") from None
    _check_files(artifact, files, where)
    if not files and (artifact.digest or (why := foreign(artifact.uri, namespace, bucket))):
        raise BadRequest(f"{where}.uri: {why if not artifact.digest else 'its files are missing: send them first'}")
    return Carried(artifact, files)


def _check_files(artifact: Artifact, files: Sequence[File], where: str) -> None:
    if len(files) > FILES_MAX:
        raise BadRequest(f"{where}.files: {len(files)} are more than {FILES_MAX}")
    for one in files:
        if not SHA.fullmatch(one.sha256) or one.size < 0 or not _is_safe(one.path, len(files), artifact.digest):
            raise BadRequest(f"{where}.files: {one.path!r} is no path below the artifact with a SHA-256 and a size")
    if not files:
        return
    paths = [one.path for one in files]
    digest = f"sha256:{files[0].sha256}" if paths == [""] else tree_digest(files)
    if artifact.digest != digest or sum(one.size for one in files) != artifact.size or len(set(paths)) < len(paths):
        raise BadRequest(f"{where}.digest: {artifact.digest[:80]!r} is not that of its files: send them as they are")


def _is_safe(path: str, count: int, digest: str) -> bool:
    if not path:
        return count == 1 and digest.startswith("sha256:")
    letters = all(ord(letter) >= 0x20 and letter != "\\" for letter in path)
    return letters and len(path) <= 1024 and not any(part in ("", ".", "..") for part in path.split("/"))


def _object(told: Any, field: str) -> dict[str, Any]:
    if not isinstance(told, dict):
        raise BadRequest(f"{field}: must be an object")
    return told


def _word(told: Any, field: str, *, empty: bool = False) -> str:
    text = "" if told is None and empty else told
    if not isinstance(text, str) or len(text) > WORD_MAX or not (text or empty) or not text.isprintable():
        raise BadRequest(f"{field}: {str(told)[:80]!r} is no text of at most {WORD_MAX} printable letters")
    return text
