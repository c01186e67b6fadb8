"""Which kinds a Millstream serves, and how people call them: `trainjobs`, `trainjob`, `tj`, `TrainJob`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class ServedResource:
    """One entry of API discovery."""

    group: str
    version: str
    kind: str
    plural: str
    singular: str
    short_names: tuple[str, ...]
    namespaced: bool

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    def path(self, namespace: str | None, name: str | None = None) -> str:
        """The URL path of one object, or of the collection; `namespace=None` is the collection of all namespaces."""
        root = f"/apis/{self.api_version}" if self.group else f"/api/{self.version}"
        scope = f"/namespaces/{namespace}" if self.namespaced and namespace else ""
        return f"{root}{scope}/{self.plural}" + (f"/{name}" if name else "")

    def is_called(self, word: str) -> bool:
        word = word.lower()
        names = {self.plural, self.singular, self.kind.lower(), f"{self.plural}.{self.group}", *self.short_names}
        return word in names


def parse_aggregated(groups: dict[str, Any]) -> list[ServedResource]:
    """The resources of an `APIGroupDiscoveryList` (apidiscovery.k8s.io/v2), most preferred version first."""
    return [
        ServedResource(
            group=group["metadata"].get("name", ""),
            version=version["version"],
            kind=resource["responseKind"]["kind"],
            plural=resource["resource"],
            singular=resource.get("singularResource", ""),
            short_names=tuple(resource.get("shortNames", ())),
            namespaced=resource["scope"] == "Namespaced",
        )
        for group in groups.get("items", [])
        for version in group["versions"]
        for resource in version["resources"]
    ]


def find(resources: Iterable[ServedResource], word: str) -> ServedResource | None:
    """The first resource that people may mean by `word`."""
    return next((resource for resource in resources if resource.is_called(word)), None)


def find_kind(resources: Iterable[ServedResource], api_version: str, kind: str) -> ServedResource | None:
    """The resource of a manifest's `apiVersion` and `kind`."""
    return next((r for r in resources if r.api_version == api_version and r.kind == kind), None)
