"""The manifests tell the truth: what a service says, hears and owns is what its code says, hears and owns."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from contracts.envelope import registry
from libs.service.manifest import Manifest, load

ROOT = Path(__file__).resolve().parents[2]
MANIFESTS = sorted((ROOT / "services").glob("*/service.yaml"))
BY_CLASS = {message.__name__: type_ for type_, message in registry().items()}


def _manifest(path: Path) -> Manifest:
    return load(path)


def _names_used(folder: Path) -> set[str]:
    """Every name that a service's own code mentions outside its manifest."""
    names: set[str] = set()
    for source in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(source.read_text())):
            if isinstance(node, ast.Name):
                names.add(node.id)
            elif isinstance(node, ast.alias):
                names.add((node.asname or node.name).split(".")[-1])
            elif isinstance(node, ast.Attribute):
                names.add(node.attr)
    return names


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda p: p.parent.name)
def test_every_message_a_service_says_or_hears_has_a_contract(path: Path) -> None:
    manifest = _manifest(path)
    unknown = [type_ for type_ in (*manifest.says, *manifest.hears) if type_ not in registry()]
    assert not unknown, f"{path}: no class in contracts/ has these types: {unknown}"


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda p: p.parent.name)
def test_a_message_class_that_a_service_uses_stands_in_its_manifest(path: Path) -> None:
    manifest = _manifest(path)
    told = {*manifest.says, *manifest.hears}
    used = {BY_CLASS[name] for name in _names_used(path.parent) if name in BY_CLASS}
    assert used <= told, f"{path}: the code uses {sorted(used - told)}, neither said nor heard in the manifest"


def test_an_event_has_exactly_one_speaker() -> None:
    speakers: dict[str, list[str]] = {}
    for path in MANIFESTS:
        manifest = _manifest(path)
        for type_ in manifest.says:
            speakers.setdefault(type_, []).append(manifest.name)
    twice = {type_: names for type_, names in speakers.items() if len(names) > 1}
    assert not twice, f"said by more than one service: {twice}"


def test_every_event_of_the_contracts_is_said_by_somebody() -> None:
    from contracts.envelope import Event

    said = {type_ for path in MANIFESTS for type_ in _manifest(path).says}
    events = {type_ for type_, message in registry().items() if issubclass(message, Event)}
    assert events <= said, f"nobody says {sorted(events - said)}: take the class out or name its speaker"


def test_a_kind_has_exactly_one_owner() -> None:
    owners: dict[str, list[str]] = {}
    for path in MANIFESTS:
        manifest = _manifest(path)
        for kind in manifest.owns:
            owners.setdefault(str(kind), []).append(manifest.name)
    twice = {kind: names for kind, names in owners.items() if len(names) > 1}
    assert not twice, f"owned by more than one service: {twice}"


def test_every_service_with_a_manifest_is_deployed_or_is_the_node() -> None:
    base = (ROOT / "deploy" / "base" / "kustomization.yaml").read_text()
    missing = [p.parent.name for p in MANIFESTS if p.parent.name != "node" and f"- {p.parent.name}\n" not in base]
    assert not missing, f"no line in deploy/base/kustomization.yaml for {missing}"
