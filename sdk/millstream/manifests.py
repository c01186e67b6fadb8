"""What a checkpoint consists of, and which checkpoints of a place are whole; the one file that makes it true is last.

    step-0000000120.json                  the manifest: names, sizes and sha256 of all parts, and its own
    parts/0000000120/0-state-1f3a...      a part: rank, entry, its content's sha256
    pending/0000000120/<attempt>/1.json   what rank 1 has written, until rank 0 puts it into the manifest

A part's name follows from its content, so nothing that a manifest names is ever written over with something else.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from millstream.places import Place

MANIFEST = re.compile(r"step-(\d{10})\.json\Z")
_FOLDER = re.compile(r"(?:parts|pending)/(\d{10})/")


class Damaged(RuntimeError):
    """A checkpoint is there, but not as it was written."""


@dataclass(frozen=True)
class Part:
    """One entry of one rank: its `state`, or a file by its name. `form` says how bytes become the value again."""

    rank: int
    entry: str
    form: str
    name: str
    sha256: str
    bytes: int


@dataclass(frozen=True)
class Manifest:
    step: int
    world: int
    parts: tuple[Part, ...]
    time: str

    def of(self, rank: int) -> list[Part]:
        return [part for part in self.parts if part.rank == rank]


def manifest_name(step: int) -> str:
    return f"step-{step:010}.json"


def write_part(place: Place, step: int, rank: int, entry: str, form: str, data: bytes | Path) -> Part:
    digest, size = _digest(data)
    name = f"parts/{step:010}/{rank}-{re.sub(r'[^A-Za-z0-9._-]', '_', entry)}-{digest[:16]}"
    place.put(name, data)
    return Part(rank, entry, form, name, digest, size)


def read_part(place: Place, part: Part) -> bytes:
    """Damaged unless every byte is the one that was written."""
    try:
        data = place.get(part.name)
    except FileNotFoundError as error:
        raise Damaged(f"{part.name} is gone") from error
    if len(data) != part.bytes or sha256(data).hexdigest() != part.sha256:
        raise Damaged(f"{part.name} is not what was written: {len(data)} bytes of {part.bytes}, or another content")
    return data


def commit(place: Place, step: int, world: int, parts: Iterable[Part]) -> Manifest:
    """From here on the checkpoint is there."""
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    manifest = Manifest(step, world, tuple(parts), at)
    place.put(manifest_name(step), _sealed(asdict(manifest)))
    return manifest


def sealed(place: Place) -> list[Manifest]:
    """The checkpoints that were completed, newest first; what has become of their parts is told by `read_part`."""
    names = place.names("step-")
    found = [manifest for name in names if MANIFEST.match(name) and (manifest := _open(place, name))]
    return sorted(found, key=lambda manifest: -manifest.step)


def whole(place: Place) -> list[Manifest]:
    """The checkpoints all of whose parts lie there in full size, newest first."""
    sizes = place.names()
    return [m for m in sealed(place) if all(sizes.get(part.name) == part.bytes for part in m.parts)]


def leave_receipt(place: Place, step: int, attempt: str, rank: int, parts: Iterable[Part]) -> None:
    place.put(f"pending/{step:010}/{attempt}/{rank}.json", _sealed({"parts": [asdict(part) for part in parts]}))


def receipts(place: Place, step: int, attempt: str, world: int) -> list[Part] | None:
    """The parts of all ranks; None while one is missing."""
    names = place.names(f"pending/{step:010}/{attempt}/")
    if len(names) < world:
        return None
    bodies = [_unsealed(place.get(name)) for name in sorted(names)]
    return [Part(**part) for body in bodies if body for part in body["parts"]] if all(bodies) else None


def steps(place: Place) -> list[int]:
    """Of all manifests, newest first; cheaper than `whole`, and not looking into any."""
    return sorted((int(found[1]) for name in place.names("step-") if (found := MANIFEST.match(name))), reverse=True)


def forget_before(place: Place, step: int) -> None:
    """Older checkpoints: manifests first, so that none ever names what is gone; what is being written is newer."""
    for prefix, pattern in (("step-", MANIFEST), ("parts/", _FOLDER), ("pending/", _FOLDER)):
        for name in place.names(prefix):
            if (found := pattern.match(name)) and int(found[1]) < step:
                place.delete(name)


def forget_receipts(place: Place, step: int, attempt: str) -> None:
    for name in place.names(f"pending/{step:010}/{attempt}/"):
        place.delete(name)


def tidy(place: Place) -> None:
    """What writers who were killed left behind. Only while nobody writes: at the start of the first rank. What is left
    of a damaged checkpoint stays: it is all that can tell what happened."""
    named = {part.name for manifest in sealed(place) for part in manifest.parts}
    for name in place.names():
        if name.startswith("pending/") or (name.startswith("parts/") and name not in named):
            place.delete(name)


def _digest(data: bytes | Path) -> tuple[str, int]:
    if isinstance(data, bytes):
        return sha256(data).hexdigest(), len(data)
    seen, size = sha256(), 0
    with data.open("rb") as file:
        while block := file.read(1 << 20):
            seen.update(block)
            size += len(block)
    return seen.hexdigest(), size


def _sealed(body: Mapping[str, Any]) -> bytes:
    text = json.dumps(body, sort_keys=True)
    return json.dumps({"body": text, "sha256": sha256(text.encode()).hexdigest()}).encode()


def _unsealed(data: bytes) -> dict[str, Any] | None:
    """None for what is not whole."""
    try:
        sealed = json.loads(data)
        text = sealed["body"]
        return dict(json.loads(text)) if sha256(text.encode()).hexdigest() == sealed["sha256"] else None
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _open(place: Place, name: str) -> Manifest | None:
    try:
        body = _unsealed(place.get(name))
    except FileNotFoundError:  # another rank tidies up
        return None
    return Manifest(**{**body, "parts": tuple(Part(**part) for part in body["parts"])}) if body else None
