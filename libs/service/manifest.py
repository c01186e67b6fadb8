"""Reads a service.yaml, the one description every tool trusts; assumes nothing about which services exist."""

import re
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Literal, NamedTuple

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from libs.base.errors import MillstreamError

_KIND = re.compile(r"^(?P<plural>[a-z][a-z0-9]*)(\.(?P<group>[a-z0-9.-]+))?/(?P<version>v[0-9][a-z0-9]*)$")
_TYPE = re.compile(r"^[a-z][a-z0-9]*(\.[a-z][a-z0-9-]*){2}\.v[1-9][0-9]*$")
_GUARDED = re.compile(r"^[a-z][a-z0-9]*(\.[a-z0-9-]+){2,}$")
_ROUTE = re.compile(r"^((?P<method>[A-Z]+) )?(?P<path>/\S*)$")

Need = Literal["store", "bus", "cluster", "blobs"]


class ManifestError(MillstreamError):
    """A service.yaml that cannot be trusted; the message names the file, the field and what is wrong."""


class ServedKind(NamedTuple):
    """One word of `owns` or `creates`: `plural.group/version`, or `plural/version` for the core group ("")."""

    plural: str
    group: str
    version: str

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @classmethod
    def parse(cls, text: str) -> "ServedKind":
        found = _KIND.match(text)
        if not found:
            raise ValueError(f"{text!r} is not plural.group/version, such as trainjobs.trainer.kubeflow.org/v1alpha1")
        return cls(found["plural"], found["group"] or "", found["version"])


class RoutePattern:
    """`[METHOD ]/path/{name}/more`: a word in braces stands for exactly one path segment."""

    def __init__(self, text: str) -> None:
        found = _ROUTE.match(text)
        if not found:
            raise ValueError(f"{text!r} is not '[METHOD ]/path/{{name}}'")
        self.method: str | None = found["method"]
        parts = re.split(r"(\{[a-z_]+\})", found["path"])
        pieces = ("[^/]+" if part.startswith("{") else re.escape(part) for part in parts)
        self._path = re.compile("".join(pieces) + r"\Z")

    def matches(self, method: str, path: str) -> bool:
        return (self.method is None or self.method == method) and self._path.match(path) is not None


class Manifest(BaseModel):
    """What a service is called, owns, says, hears, needs and answers to (STYLE.md, `service.yaml`)."""

    model_config = ConfigDict(frozen=True, extra="forbid", ignored_types=(cached_property,))

    name: str = Field(pattern=r"^[a-z][a-z0-9-]*$")
    port: int = Field(default=8080, ge=1, le=65535)
    owns: tuple[str, ...] = ()
    says: tuple[str, ...] = ()
    hears: tuple[str, ...] = ()
    needs: tuple[Need, ...] = ()
    creates: tuple[str, ...] = ()
    administered: tuple[str, ...] = ()
    """Those of `owns` that the people of a namespace may only read: a role of their own lets write them."""
    reads: tuple[str, ...] = ()
    """Kinds of the cluster that it only looks at; with `creates` and `patches` this makes its Role
    (libs.service.roles)."""
    patches: tuple[str, ...] = ()
    """Kinds of which it looks at objects that others make, and changes them."""
    routes: tuple[str, ...] = ()
    page: str = ""
    """Below one of `routes`: where the gateway sends a browser that comes to /. One service has it."""
    self_authenticated: tuple[str, ...] = ()
    """Routes that check a bearer token of their own: the gateway passes Authorization through to these alone."""
    guards: dict[str, tuple[str, ...]] = {}
    """What is no kind and yet leave is asked for it: `plural.group` -> the verbs of those who may write it. To get and
    to list it is for all who may read."""
    aliases: tuple[str, ...] = ()
    """Other Service names this one answers to in /api/v1/namespaces/{ns}/services/<name>:<port>/proxy/."""

    @field_validator("owns", "administered", "creates", "reads", "patches")
    @classmethod
    def _kinds(cls, words: tuple[str, ...]) -> tuple[str, ...]:
        for word in words:
            ServedKind.parse(word)
        return words

    @field_validator("says", "hears")
    @classmethod
    def _types(cls, words: tuple[str, ...]) -> tuple[str, ...]:
        for word in words:
            if not _TYPE.match(word):
                raise ValueError(f"{word!r} is not <domain>.<noun>.<verb>.v<N>")
        return words

    @field_validator("guards")
    @classmethod
    def _guarded(cls, found: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
        for word, verbs in found.items():
            if not _GUARDED.match(word) or not all(verb.isalpha() for verb in verbs):
                raise ValueError(f"{word!r} is not <plural>.<group> with verbs")
        return found

    @field_validator("routes")
    @classmethod
    def _prefixes(cls, words: tuple[str, ...]) -> tuple[str, ...]:
        for word in words:
            if not word.startswith("/") or word.endswith("/"):
                raise ValueError(f"{word!r} must start with / and not end with it")
        return words

    @model_validator(mode="after")
    def _page_is_ours(self) -> "Manifest":
        if self.page and not self.page.startswith(tuple(f"{route}/" for route in self.routes)):
            raise ValueError(f"page: {self.page!r} is below none of the routes")
        return self

    @field_validator("self_authenticated")
    @classmethod
    def _patterns(cls, words: tuple[str, ...]) -> tuple[str, ...]:
        for word in words:
            RoutePattern(word)
        return words

    @property
    def kinds(self) -> tuple[ServedKind, ...]:
        return tuple(ServedKind.parse(word) for word in self.owns)

    @cached_property
    def open_routes(self) -> tuple[RoutePattern, ...]:
        return tuple(RoutePattern(word) for word in self.self_authenticated)

    def authenticates_itself(self, method: str, path: str) -> bool:
        return any(route.matches(method, path) for route in self.open_routes)


def parse(text: str, *, source: str = "service.yaml") -> Manifest:
    """The manifest in `text`; raises ManifestError naming `source` and the field."""
    try:
        data = yaml.safe_load(text)
        if not isinstance(data, Mapping):
            raise ManifestError(f"{source}: expected a mapping with at least 'name'")
        return Manifest.model_validate(data)
    except yaml.YAMLError as error:
        raise ManifestError(f"{source}: not YAML: {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ManifestError(f"{source}: {where}: {first['msg']}") from error


def load(path: Path | str) -> Manifest:
    """The manifest at `path`, a service.yaml or the folder that holds one."""
    file = Path(path)
    if file.is_dir():
        file = file / "service.yaml"
    try:
        return parse(file.read_text(), source=str(file))
    except OSError as error:
        raise ManifestError(f"{file}: {error.strerror}") from error


def load_all(folder: Path | str) -> tuple[Manifest, ...]:
    """Every `*/service.yaml` below `folder`, by name; two with one name are an error."""
    manifests = tuple(load(file) for file in sorted(Path(folder).glob("*/service.yaml")))
    _refuse_twins(manifests)
    return manifests


def _refuse_twins(manifests: Iterable[Manifest]) -> None:
    owner: dict[str, str] = {}
    for manifest in manifests:
        for word in (f"name {manifest.name}", *(f"kind {kind}" for kind in manifest.owns)):
            if word in owner:
                raise ManifestError(f"{word} is claimed by both {owner[word]} and {manifest.name}")
            owner[word] = manifest.name
