"""Which golden files there are, what belongs in them, and where the two differ."""

import json
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from contracts.golden.asyncapi import Speaker, document
from contracts.golden.breaking import breaks
from contracts.golden.kinds import kind_models, kind_schema
from contracts.golden.samples import sample_letter
from contracts.golden.schemas import SORT, letter_schema, message_schema
from contracts.registry import registry

HOME = Path(__file__).parent
SCHEMAS, LETTERS, KINDS = "schemas", "letters", "kinds"
VERSION = "0.1.0"


def documents(speakers: Sequence[Speaker]) -> dict[str, Any]:
    """Every golden file's content by its path below `contracts/golden`."""
    messages = registry()
    sources = {type: f"millstream/{speaker.name}" for speaker in speakers for type in speaker.says}
    letters = {type: sample_letter(m, sources.get(type, "example/another-system")) for type, m in messages.items()}
    return {
        f"{SCHEMAS}/letter.json": letter_schema(),
        **{f"{SCHEMAS}/{type}.json": message_schema(message) for type, message in messages.items()},
        **{f"{LETTERS}/{type}.json": letter.to_dict() for type, letter in letters.items()},
        **{f"{KINDS}/{name}.json": kind_schema(name, model) for name, model in kind_models().items()},
        "asyncapi.json": document(messages, letters, speakers, VERSION),
    }


def text(content: Any) -> str:
    """A document as it lies on disk."""
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def differences(wanted: Mapping[str, Any], home: Path = HOME) -> list[str]:
    """The paths whose file is missing, stale or superfluous."""
    stale = {path for path, content in wanted.items() if _read(home / path) != text(content)}
    return sorted(stale | (_present(home) - set(wanted)))


def write(wanted: Mapping[str, Any], home: Path = HOME) -> list[str]:
    """Makes the files be as `wanted`; returns the paths that changed."""
    changed = differences(wanted, home)
    for path in changed:
        if path in wanted:
            (home / path).parent.mkdir(parents=True, exist_ok=True)
            (home / path).write_text(text(wanted[path]))
        else:
            (home / path).unlink()
    return changed


def broken(wanted: Mapping[str, Any], promised: Mapping[str, Any]) -> list[str]:
    """Each promise of the schemas `promised` that `wanted` breaks, as a sentence."""
    found: list[str] = []
    for path, old in sorted(promised.items()):
        if path not in wanted:
            found.append(f"{path}: is gone; keep a version until no manifest names it")
        else:
            found += [f"{path}: {sentence}" for sentence in breaks(old, wanted[path])]
    return found


def promised_on_disk(home: Path = HOME) -> dict[str, Any]:
    """The schemas as the golden files have them."""
    return _schemas(sorted(_present(home)), lambda path: (home / path).read_text())


def promised_at(ref: str, home: Path = HOME) -> dict[str, Any]:
    """The schemas as they were at a git revision. Raises subprocess.CalledProcessError where git does not know it."""

    def git(*args: str) -> str:
        return subprocess.run(["git", *args], cwd=home, check=True, capture_output=True, text=True).stdout

    return _schemas(git("ls-tree", "-r", "--name-only", ref, ".").split(), lambda path: git("show", f"{ref}:./{path}"))


def _schemas(paths: Sequence[str], read: Callable[[str], str]) -> dict[str, Any]:
    wanted = [path for path in paths if path.endswith(".json") and path.split("/")[0] in (SCHEMAS, KINDS)]
    found = {path: json.loads(read(path)) for path in wanted}
    return {path: schema for path, schema in found.items() if SORT in schema}


def _present(home: Path) -> set[str]:
    return {path.relative_to(home).as_posix() for path in home.rglob("*.json")}


def _read(path: Path) -> str | None:
    return path.read_text() if path.exists() else None
