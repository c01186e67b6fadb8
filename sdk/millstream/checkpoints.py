"""Checkpoints that survive a kill at any instruction: parts first, the manifest last, damaged ones passed over.

    checkpoints = Checkpoints()                       # where the job's checkpoints lie
    if found := checkpoints.restore():
        model.load_state_dict(found.state["model"])
    checkpoints.save(step, {"model": model.state_dict()})

Every rank calls `save` and `restore`. Without `sharded` the first rank writes and all read the same; with it each rank
keeps its own part, and a checkpoint is there when all parts are. torch is used where the program has imported it.
"""

from __future__ import annotations

import io
import json
import os
import sys
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from millstream import manifests, reporting
from millstream.manifests import Damaged, Manifest, Part
from millstream.places import Place, place

PATIENCE_S = 600.0
"""How long the first rank waits for the parts of the others."""
STATE = "state"
ATTEMPT = ("MILLSTREAM_RESTART", "TORCHELASTIC_RUN_ID", "TORCHELASTIC_RESTART_COUNT", "MASTER_ADDR", "MASTER_PORT")
"""What all ranks of one attempt share and those of the next one, as far as can be told, do not."""


@dataclass(frozen=True)
class Restored:
    """`step` is the number given to `save`, `state` what was given, `files` the folder with the files that were."""

    step: int
    state: Any = None
    files: Path | None = None


class Checkpoints:
    """The checkpoints of one training. ValueError without `uri` outside of a TrainJob; `keep` >= 1 newest ones stay."""

    def __init__(
        self,
        uri: str | None = None,
        *,
        keep: int = 3,
        sharded: bool = False,
        asynchronous: bool = False,
        rank: int | None = None,
        world: int | None = None,
    ) -> None:
        self.uri = (uri or os.environ.get("MILLSTREAM_CHECKPOINT_URI") or "").rstrip("/")
        if not self.uri:
            raise ValueError("where should checkpoints go? give uri=, or run inside a TrainJob")
        if keep < 1:
            raise ValueError(f"keep={keep}: at least one checkpoint must be kept")
        self._place: Place = place(self.uri)
        self._keep, self._sharded = keep, sharded
        self._rank = reporting.rank() if rank is None else rank
        self._world = (_world() if world is None else world) if sharded else 1
        self._pool = ThreadPoolExecutor(1, "millstream-checkpoint") if asynchronous else None
        self._pending: Future[None] | None = None

    def save(self, step: int, state: Any = None, files: Iterable[str | Path] = ()) -> None:
        """Returns when the checkpoint is there; asynchronous, when its content is taken, and the next save waits.

        OSError when the place does not take it (asynchronous: at the next `save` or `wait`).
        """
        self.wait()
        if self._rank and not self._sharded:
            return
        entries = _entries(state, files, copied=self._pool is not None)
        if self._pool is None:
            self._write(step, entries)
        else:
            self._pending = self._pool.submit(self._write, step, entries)

    def wait(self) -> None:
        """Until what was saved is there. A program that ends waits by itself."""
        pending, self._pending = self._pending, None
        if pending is not None:
            pending.result()

    def latest(self) -> int | None:
        """The newest whole checkpoint's step."""
        self.wait()
        found = manifests.whole(self._place)
        return found[0].step if found else None

    def restore(self, into: str | Path = ".millstream/checkpoint", map_location: Any = "cpu") -> Restored | None:
        """The newest checkpoint that is as it was written; None when there is none. Files are put into `into`.

        Call it on every rank before the first `save`: ranks of a torch.distributed group agree on the step. Damaged
        when all are damaged; ValueError when a sharded one was saved by another number of ranks (see `shards`).
        """
        self.wait()
        found = manifests.sealed(self._place)
        if self._rank == 0:
            manifests.tidy(self._place)
        problems: list[str] = []
        bound = None
        while True:
            mine = self._readable([m for m in found if bound is None or m.step <= bound], problems)
            bound = _agreed(mine[0].step if mine else -1)
            if bound < 0:
                break
            if mine and mine[0].step == bound:
                return self._decoded(*mine, Path(into), map_location)
        if problems:
            raise Damaged(f"no checkpoint at {self.uri} can be read: {'; '.join(problems)}")
        return None

    def shards(self, map_location: Any = "cpu") -> list[Any]:
        """The states of all ranks of the newest checkpoint, to be divided anew among another number of ranks."""
        for manifest in manifests.whole(self._place):
            parts = [part for part in manifest.parts if part.entry == STATE]
            return [
                _decode(part.form, manifests.read_part(self._place, part), map_location)
                for part in sorted(parts, key=lambda part: part.rank)
            ]
        return []

    def _readable(self, found: list[Manifest], problems: list[str]) -> tuple[Manifest, dict[str, bytes]] | None:
        for manifest in found:
            try:
                parts = manifest.of(self._of(manifest))
                return manifest, {part.entry: manifests.read_part(self._place, part) for part in parts}
            except Damaged as error:
                problems.append(f"step {manifest.step}: {error}")
        return None

    def _of(self, manifest: Manifest) -> int:
        if self._sharded and manifest.world != self._world:
            told = f"step {manifest.step} was saved by {manifest.world} ranks, there are {self._world} now"
            raise ValueError(f"{told}: take shards() and divide them anew")
        return self._rank if self._sharded else 0

    def _decoded(self, manifest: Manifest, data: dict[str, bytes], into: Path, map_location: Any) -> Restored:
        forms = {part.entry: part.form for part in manifest.of(self._of(manifest))}
        state = _decode(forms[STATE], data.pop(STATE), map_location) if STATE in data else None
        for name, content in data.items():
            target = into / Path(name).name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
        return Restored(manifest.step, state, into if data else None)

    def _write(self, step: int, entries: list[tuple[str, str, bytes | Path]]) -> None:
        parts: list[Part] | None = [
            manifests.write_part(self._place, step, self._rank, entry, form, data) for entry, form, data in entries
        ]
        if self._world > 1:
            manifests.leave_receipt(self._place, step, _attempt(), self._rank, parts or [])
            if self._rank:
                return
            parts = self._all_parts(step)
        manifest = manifests.commit(self._place, step, self._world, parts or [])
        if reporting.is_heard():
            told = {"step": step, "uri": f"{self.uri}/{manifests.manifest_name(step)}", "time": manifest.time}
            reporting.reporter.note({}, {}, {"checkpoint": told})
        if self._world > 1:
            manifests.forget_receipts(self._place, step, _attempt())
        self._forget_old(step)

    def _all_parts(self, step: int) -> list[Part]:
        end, pause = time.monotonic() + PATIENCE_S, 0.01
        while (found := manifests.receipts(self._place, step, _attempt(), self._world)) is None:
            if time.monotonic() > end:
                raise OSError(f"not all {self._world} ranks saved step {step} within {PATIENCE_S:.0f} s")
            time.sleep(pause)
            pause = min(pause * 1.5, 0.5)
        return found

    def _forget_old(self, saved: int) -> None:
        """Of later steps than the one just saved there can only be what was damaged, or not gone on from."""
        steps = [step for step in manifests.steps(self._place) if step <= saved]
        if len(steps) > self._keep:
            manifests.forget_before(self._place, steps[self._keep - 1])


def _entries(state: Any, files: Iterable[str | Path], *, copied: bool) -> list[tuple[str, str, bytes | Path]]:
    """A file that is stored later is read now: the program may write the next one over it."""
    found: list[tuple[str, str, bytes | Path]] = [] if state is None else [(STATE, *_encode(state))]
    for file in map(Path, files):
        if file.name == STATE:
            raise ValueError(f"{file}: a file may not be called {STATE!r}; rename it")
        found.append((file.name, "file", file.read_bytes() if copied else file))
    if not found:
        raise ValueError("nothing to save: give a state or files")
    return found


def _encode(state: Any) -> tuple[str, bytes]:
    if isinstance(state, (bytes, bytearray)):
        return "bytes", bytes(state)
    torch = sys.modules.get("torch")
    if torch is not None and hasattr(torch, "save"):
        buffer = io.BytesIO()
        torch.save(state, buffer)
        return "torch", buffer.getvalue()
    data = json.dumps(state).encode()
    if json.loads(data) != state:
        raise ValueError("the state does not survive JSON (tuples, numbers as keys, ...): give bytes, or import torch")
    return "json", data


def _decode(form: str, data: bytes, map_location: Any) -> Any:
    if form == "bytes":
        return data
    if form == "json":
        return json.loads(data)
    import torch

    return torch.load(io.BytesIO(data), map_location=map_location, weights_only=True)


def _agreed(step: int) -> int:
    """The newest step that every rank can read; alone, one's own."""
    dist = sys.modules.get("torch.distributed")
    if dist is None or not dist.is_available() or not dist.is_initialized():
        return step
    told: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(told, step)
    return int(min(told))


def _world() -> int:
    for name in ("WORLD_SIZE", "MILLSTREAM_NUM_NODES"):
        if os.environ.get(name, "").isdigit():
            return int(os.environ[name])
    return 1


def _attempt() -> str:
    known: Mapping[str, str] = os.environ
    return sha256("|".join(known.get(name, "") for name in ATTEMPT).encode()).hexdigest()[:12]
