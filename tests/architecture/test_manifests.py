"""The manifests tell the truth: what a service is said to say, hear, own and need is what its code does."""

from __future__ import annotations

import ast
import re
from importlib import import_module
from pathlib import Path

import pytest

from contracts.envelope import Command, Event, registry, subject_for
from libs.service.app import App
from libs.service.manifest import Manifest, load
from tests.architecture.tree import ROOT, mentions, python_files, tree_of

MANIFESTS = {path.parent.name: load(path) for path in sorted((ROOT / "services").glob("*/service.yaml"))}
BY_CLASS = {message.__name__: type_ for type_, message in registry().items()}

# Services that bring a shell of their own instead of an App, and why.
OWN_SHELL = {
    "gateway": "it passes everything on: no store, no bus, no kind",
    "node": "it is the Kubernetes that the shell of the others needs",
}
every_service = pytest.mark.parametrize("manifest", MANIFESTS.values(), ids=list(MANIFESTS))
every_app = pytest.mark.parametrize("name", [name for name in MANIFESTS if name not in OWN_SHELL])


def _app(name: str) -> App:
    built: App = import_module(f"services.{name}.app").build()
    return built


def _files(name: str) -> list[Path]:
    return python_files(f"services/{name}")


def _made(name: str) -> set[str]:
    """Types of the messages whose class a service calls, which is how it says one."""
    calls = (node.func for path in _files(name) for node in ast.walk(tree_of(path)) if isinstance(node, ast.Call))
    return {BY_CLASS[word] for call in calls if (word := _last_word(call)) in BY_CLASS}


def _named(name: str) -> set[str]:
    """Types of the messages whose class stands anywhere in a service's code."""
    nodes = (node for path in _files(name) for node in ast.walk(tree_of(path)))
    return {BY_CLASS[word] for node in nodes if (word := _last_word(node)) in BY_CLASS}


def _last_word(node: ast.AST) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def _answers(app: App) -> set[str]:
    """What the shell says on behalf of a service that lists command kinds: every command is answered."""
    nouns = {command.type.rsplit(".", 2)[0] for command in app.command_kinds}
    return {f"{noun}.{verb}.v1" for noun in nouns for verb in ("applied", "rejected")}


@every_service
def test_every_message_a_service_says_or_hears_has_a_contract(manifest: Manifest) -> None:
    unknown = {*manifest.says, *manifest.hears} - registry().keys()
    assert not unknown, f"{manifest.name}: no class in contracts/ has these types: {sorted(unknown)}"


@every_service
def test_what_a_service_makes_it_says_and_what_it_names_it_says_or_hears(manifest: Manifest) -> None:
    unsaid = {type_ for type_ in _made(manifest.name) - {*manifest.says} if issubclass(registry()[type_], Event)}
    assert not unsaid, f"{manifest.name} makes {sorted(unsaid)}: a word in `says:` is missing"
    unknown = _named(manifest.name) - {*manifest.says, *manifest.hears}
    assert not unknown, f"{manifest.name} names {sorted(unknown)}: neither said nor heard in its manifest"


@every_app
def test_what_a_service_promises_to_say_stands_in_its_code(name: str) -> None:
    idle = {*MANIFESTS[name].says} - _named(name) - _answers(_app(name))
    assert not idle, f"{name}: the manifest says {sorted(idle)} and no code does"


@every_app
def test_a_service_hears_what_it_handles(name: str) -> None:
    app = _app(name)
    handled = {message.type for message in (*app.handlers, *app.command_kinds)}
    assert handled == {*MANIFESTS[name].hears}, f"{name}: handlers and `hears:` differ"


@every_app
def test_a_service_owns_the_kinds_that_it_serves(name: str) -> None:
    served = {f"{kind.resource}/{kind.version}" for kind in _app(name).kinds}
    assert served == {*MANIFESTS[name].owns}, f"{name}: its kinds and `owns:` differ"


def test_the_node_owns_the_built_in_kinds_that_it_serves() -> None:
    from services.node.reconcile.kinds import KINDS

    served = {f"{kind.plural}{f'.{kind.group}' if kind.group else ''}/{kind.version}" for kind in KINDS}
    assert served == {*MANIFESTS["node"].owns}


@every_app
def test_a_service_needs_what_its_code_uses_and_nothing_else(name: str) -> None:
    assert _needs(name) == {*MANIFESTS[name].needs}, f"{name}: the code and `needs:` differ"


def _needs(name: str) -> set[str]:
    manifest = MANIFESTS[name]
    # Workloads run in pods with what the pod is given, so they say nothing of what the service needs.
    imported = {word for path in _files(name) if "workloads" not in path.parts for word in mentions(path)}
    return {
        need
        for need, used in {
            "store": True,  # the shell keeps the inbox and the leases of every App
            "bus": bool(manifest.says or manifest.hears),
            "cluster": any(word.startswith("libs.cluster") for word in imported),
            "blobs": any(word.startswith("libs.blobs") for word in imported),
        }.items()
        if used
    }


def test_every_service_with_a_shell_of_its_own_still_has_one() -> None:
    gone = [name for name in OWN_SHELL if hasattr(import_module(f"services.{name}.app"), "build")]
    assert not gone, f"these exceptions match nothing any more: {gone}"


@pytest.mark.parametrize("word", ["says", "owns"])
def test_everything_has_exactly_one_speaker_and_one_owner(word: str) -> None:
    seen: dict[str, list[str]] = {}
    for manifest in MANIFESTS.values():
        for entry in getattr(manifest, word):
            if not issubclass(registry().get(entry, Event), Command):  # anyone may say a wish
                seen.setdefault(entry, []).append(manifest.name)
    twice = {entry: names for entry, names in seen.items() if len(names) > 1}
    assert not twice, f"in `{word}` of more than one service: {twice}"


def test_every_event_is_said_and_every_command_is_heard_by_somebody() -> None:
    said = {type_ for manifest in MANIFESTS.values() for type_ in manifest.says}
    heard = {type_ for manifest in MANIFESTS.values() for type_ in manifest.hears}
    events = {type_ for type_, message in registry().items() if issubclass(message, Event)}
    commands = {type_ for type_, message in registry().items() if issubclass(message, Command)}
    assert events <= said, f"nobody says {sorted(events - said)}: take the class out or name its speaker"
    assert commands <= heard, f"nobody hears {sorted(commands - heard)}: take the class out or name its hearer"


def test_the_subject_of_every_message_is_its_own_and_well_formed() -> None:
    subjects = {type_: subject_for(type_, "team-a") for type_ in registry()}
    assert len(set(subjects.values())) == len(subjects)
    form = re.compile(r"millstream\.[a-z][a-z0-9]*\.[a-z][a-z0-9]*\.[a-z]+\.v[1-9][0-9]*\.team-a")
    odd = {type_: subject for type_, subject in subjects.items() if not form.fullmatch(subject)}
    assert not odd, f"not millstream.<domain>.<noun>.<verb>.v<N>.<namespace>: {odd}"


def test_facts_are_past_participles_and_wishes_are_imperatives() -> None:
    past = re.compile(r"\.([a-z]+ed|ready)\.v[0-9]+$")  # English has no participle for `ready`
    wrong = [type_ for type_, message in registry().items() if bool(past.search(type_)) != issubclass(message, Event)]
    assert not wrong, f"a fact ends in a participle, a command does not: {wrong}"


def test_every_service_with_a_manifest_is_deployed_or_is_the_node() -> None:
    base = (ROOT / "deploy" / "base" / "kustomization.yaml").read_text()
    missing = [name for name in MANIFESTS if name != "node" and f"- {name}\n" not in base]
    assert not missing, f"no line in deploy/base/kustomization.yaml for {missing}"
