"""Applies manifests from files when the node starts; safe to repeat, as server-side apply is."""

import json
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from libs.base.errors import ApiError, NotFound
from libs.resources import Kind, Resources

Object = dict[str, Any]
MANAGER = "millstream-up"


async def apply_files(resources: Resources, path: Path) -> list[str]:
    """Applies every document in order; returns what could not be applied, in words."""
    problems = []
    for obj in documents(path):
        try:
            await _apply(resources, obj)
        except ApiError as error:
            name = (obj.get("metadata") or {}).get("name")
            problems.append(f"{obj.get('kind')}/{name}: {error.message}")
    return problems


async def _apply(resources: Resources, obj: Object) -> None:
    kind = resources.kind_of(obj)
    if kind is None:
        raise NotFound(f"the node does not serve {obj.get('kind')} of {obj.get('apiVersion')}")
    meta = obj.get("metadata") or {}
    namespace = meta.get("namespace") or "default" if kind.namespaced else ""
    await resources.apply(kind, obj, manager=MANAGER, namespace=namespace, force=True)


def apply_over_http(url: str, token: str, kinds: Sequence[Kind], path: Path) -> list[str]:
    """The same through the API of a node that runs already."""
    known = {(kind.api_version, kind.kind): kind for kind in kinds}
    problems = []
    for obj in documents(path):
        kind = known.get((obj.get("apiVersion", ""), obj.get("kind", "")))
        if kind is None:
            problems.append(f"the node does not serve {obj.get('kind')} of {obj.get('apiVersion')}")
            continue
        meta = obj.get("metadata") or {}
        space = f"namespaces/{meta.get('namespace') or 'default'}/" if kind.namespaced else ""
        where = f"{url}/{kind.prefix}/{space}{kind.plural}/{meta.get('name')}?fieldManager={MANAGER}&force=true"
        headers = {"Content-Type": "application/apply-patch+yaml", "Authorization": f"Bearer {token}"}
        request = urllib.request.Request(where, json.dumps(obj).encode(), headers, method="PATCH")
        try:
            urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=10).close()
        except urllib.error.HTTPError as error:
            problems.append(f"{obj.get('kind')}/{meta.get('name')}: {error.read().decode()[:500]}")
    return problems


def documents(path: Path) -> Iterator[Object]:
    """The YAML or JSON documents of a file, or of a directory's files in order of their names."""
    import yaml

    files = sorted(p for p in path.iterdir() if p.suffix in (".yaml", ".yml", ".json")) if path.is_dir() else [path]
    for file in files:
        for found in yaml.load_all(file.read_text(), Loader=yaml.CSafeLoader):
            yield from (found.get("items") or []) if found and found.get("kind") == "List" else [found] if found else []
