"""Applies manifests from files when the node starts; safe to repeat, as server-side apply is."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from libs.base.errors import ApiError, NotFound
from libs.resources import Resources

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


def documents(path: Path) -> Iterator[Object]:
    """The YAML or JSON documents of a file, or of a directory's files in order of their names."""
    import yaml

    files = sorted(p for p in path.iterdir() if p.suffix in (".yaml", ".yml", ".json")) if path.is_dir() else [path]
    for file in files:
        for found in yaml.load_all(file.read_text(), Loader=yaml.CSafeLoader):
            yield from (found.get("items") or []) if found and found.get("kind") == "List" else [found] if found else []
