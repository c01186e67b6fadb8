"""What became of artifacts beyond runs: versions in the registry, and endpoints that answer with them; pure.

All of it is hearsay, from facts that may come late, twice, or in another order than they came true.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

REGISTRY = "model-registry://"
VERSION, ENDPOINT = "version", "endpoint"


@dataclass(frozen=True)
class Release:
    """A model version (`kind` version, `name` model/version) or one revision of an endpoint (its InferenceService's
    name). `uri` is where the bytes are that it stands for, as far as it was told; `gone`, that the endpoint is no
    more."""

    kind: str
    id: str
    revision: str
    namespace: str
    name: str
    uri: str
    body: Mapping[str, Any] = field(default_factory=dict)
    gone: bool = False

    @property
    def node(self) -> str:
        return f"{self.kind}/{self.id}" + (f"/{self.revision}" if self.revision else "")

    @property
    def meant_as(self) -> str:
        """The URI by which InferenceServices ask for a version."""
        return f"{REGISTRY}{self.name}"

    def shown(self) -> dict[str, Any]:
        if self.kind == VERSION:
            model, _, version = self.name.rpartition("/")
            told: dict[str, Any] = {"version_id": self.id, "model": model, "version": version}
        else:
            told = {"uid": self.id, "name": self.name, "revision": self.revision, "gone": self.gone}
        return {"id": self.node, "namespace": self.namespace, "uri": self.uri, **told, **self.body}


def plain(uri: str) -> str:
    """The same for all ways to write it."""
    return uri.rstrip("/")


def links(artifacts: Iterable[tuple[str, str]], releases: Iterable[Release]) -> list[dict[str, str]]:
    """What leads to what: from artifacts, (id, URI), to versions, and from both to endpoints. An endpoint that asked
    for a version hangs on that; one that named the bytes, on the artifact."""
    known = list(releases)
    at: dict[str, list[str]] = {}
    for id, uri in artifacts:
        at.setdefault(plain(uri), []).append(id)
    versions = [one for one in known if one.kind == VERSION]
    found = [(source, one.node, "registered") for one in versions for source in at.get(one.uri, ())]
    for one in known:
        if one.kind == ENDPOINT:
            asked = str(one.body.get("model_uri", ""))
            above = [each.node for each in versions if _asks_for(asked, one.uri, each)]
            found += [(source, one.node, "serves") for source in above or at.get(one.uri, [])]
    return [{"from": source, "to": target, "kind": kind} for source, target, kind in found]


def _asks_for(asked: str, uri: str, version: Release) -> bool:
    """Who asks for a model without saying which version has got the one whose bytes it has."""
    model = version.name.rpartition("/")[0]
    return asked == version.meant_as or (asked == f"{REGISTRY}{model}" and uri == version.uri)
