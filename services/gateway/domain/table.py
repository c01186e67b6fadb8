"""Where a request goes, by method and path alone; the table comes from the services' manifests."""

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from libs.base.errors import BadRequest, NotFound
from libs.service.manifest import Manifest

NODE = "node"
PREDICTOR = "{namespace}/{name}"
"""What stands for the predictor of an inference service where a service's name is wanted; none of those has a slash."""
_PROXY = re.compile(
    r"^/api/v1/namespaces/[^/]+/services/(?:https?:)?(?P<service>[^/:]+)(?::[^/]*)?/proxy(?P<rest>/.*|)$"
)
_GROUP_PATH = re.compile(r"^/apis/(?P<group>[^/]+)/(?P<version>[^/]+)/(?:namespaces/[^/]+/)?(?P<plural>[^/]+)(?:/.*)?$")


class Target(NamedTuple):
    """The service to ask, the path to ask it for, and whether it checks the caller's own bearer token."""

    service: str
    path: str
    self_authenticated: bool = False


@dataclass
class Table:
    """Prefixes, kinds and proxied names of all services. Built-in kinds, and groups nobody claims, are the node's."""

    manifests: dict[str, Manifest] = field(default_factory=dict)
    prefixes: list[tuple[str, str]] = field(default_factory=list)
    kinds: dict[tuple[str, str], str] = field(default_factory=dict)
    owners: dict[tuple[str, str], list[str]] = field(default_factory=lambda: defaultdict(list))
    """Services by (group, version)."""
    names: dict[str, str] = field(default_factory=dict)
    page: str = ""
    """What a browser is shown that asks for nothing in particular."""

    @classmethod
    def of(cls, manifests: Iterable[Manifest]) -> "Table":
        table = cls()
        for manifest in manifests:
            table._add(manifest)
        table.prefixes.sort(key=lambda entry: -len(entry[0]))
        return table

    def _add(self, manifest: Manifest) -> None:
        self.manifests[manifest.name] = manifest
        self.page = self.page or manifest.page
        self.prefixes += [(prefix, manifest.name) for prefix in manifest.routes]
        for name in (manifest.name, *manifest.aliases):
            self.names[name] = manifest.name
        for kind in manifest.kinds:
            self.kinds[kind.group, kind.plural] = manifest.name
            owners = self.owners[kind.group, kind.version]
            if manifest.name not in owners:
                owners.append(manifest.name)

    @property
    def groups(self) -> set[str]:
        return {group for group, _ in self.kinds}

    def services_with_kinds(self) -> list[str]:
        return [name for name, manifest in self.manifests.items() if manifest.owns and name != NODE]

    def claims(self, path: str) -> bool:
        """Whether a service has `path` for itself by prefix, whatever it looks like."""
        return self._prefixed(path) is not None

    def target(self, method: str, path: str) -> Target:
        """Raises NotFound when nobody answers to `path`, BadRequest when it is not a plain path."""
        check_path(path)
        found = self._prefixed(path) or self._proxied(path) or self._document(path) or self._kind(path)
        if found is None:
            raise NotFound(f"the server could not find the requested resource: {path}")
        manifest = self.manifests.get(found.service)
        return found._replace(self_authenticated=bool(manifest and manifest.authenticates_itself(method, found.path)))

    def _prefixed(self, path: str) -> Target | None:
        for prefix, service in self.prefixes:
            if path == prefix or path.startswith(prefix + "/"):
                return Target(service, path)
        return None

    def _proxied(self, path: str) -> Target | None:
        found = _PROXY.match(path)
        service = self.names.get(found["service"]) if found else None
        if not found or not service:
            return None
        return Target(service, re.sub(r"/{2,}", "/", found["rest"]) or "/")

    def _document(self, path: str) -> Target | None:
        found = re.match(r"^/openapi/([a-z][a-z0-9-]*)\.json$", path)
        return Target(found[1], path) if found and found[1] in self.manifests else None

    def _kind(self, path: str) -> Target | None:
        if path.startswith("/api/v1/"):
            return Target(NODE, path)
        found = _GROUP_PATH.match(path)
        if not found:
            return None
        service = self.kinds.get((found["group"], found["plural"]))
        if service is None and found["group"] in self.groups:
            return None
        return Target(service or NODE, path)


def check_path(path: str) -> None:
    """Raises BadRequest for what a proxy and the service behind it could read differently."""
    if any(segment in (".", "..") for segment in path.split("/")):
        raise BadRequest("the path must not contain . or .. segments")
    if any(ord(letter) < 0x20 or letter in "\\\x7f" for letter in path):
        raise BadRequest("the path must not contain control characters or backslashes")
