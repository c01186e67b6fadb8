"""Checkpoints under a kill at every step of a save, on a folder and on a real S3 server; torch's states as they are."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from millstream import checkpoints as module
from millstream import manifests
from millstream.checkpoints import Checkpoints
from millstream.manifests import Damaged
from millstream.places import Place, place
from millstream.resuming import steps

ROOT = Path(__file__).parents[3]


@pytest.fixture(params=["folder", "s3"])
def uri(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    if request.param == "folder":
        return str(tmp_path / "kept")
    for name, value in request.getfixturevalue("s3").items():
        monkeypatch.setenv(name, value)
    return f"s3://kept/{tmp_path.name}/"


class Killed(BaseException):
    """The process is gone: nothing catches this."""


class Mortal:
    """A place whose writer is killed before its n-th write; half a write leaves what that kind of place leaves."""

    def __init__(self, inner: Place, writes: int) -> None:
        self.inner, self.left = inner, writes

    def put(self, name: str, data: bytes | Path) -> None:
        self._spend()
        self.inner.put(name, data)

    def delete(self, name: str) -> None:
        self._spend()
        self.inner.delete(name)

    def get(self, name: str) -> bytes:
        return self.inner.get(name)

    def names(self, prefix: str = "") -> dict[str, int]:
        return self.inner.names(prefix)

    def _spend(self) -> None:
        if not self.left:
            raise Killed
        self.left -= 1


def test_a_kill_before_any_write_leaves_the_old_or_the_new_checkpoint_whole(uri: str):
    seen = set()
    for writes in range(20):
        Checkpoints(uri, keep=2).save(10 * writes + 1, {"step": 10 * writes + 1})
        dying = Checkpoints(uri, keep=2)
        dying._place = Mortal(dying._place, writes)  # type: ignore[assignment]
        try:
            dying.save(10 * writes + 2, {"step": 10 * writes + 2}, files=[__file__])
            ended = True
        except Killed:
            ended = False
        found = Checkpoints(uri).restore()
        assert found is not None and found.state == {"step": found.step}
        seen.add(found.step - 10 * writes)
        if ended:
            break
    assert seen == {1, 2} and ended, "kills on both sides of the moment that counts"


def test_files_come_back_and_only_the_newest_checkpoints_stay(uri: str, tmp_path: Path):
    kept = Checkpoints(uri, keep=2)
    assert (kept.latest(), kept.restore()) == (None, None)
    for step in (1, 2, 3):
        (tmp_path / "weights.bin").write_bytes(b"w%d" % step)
        kept.save(step, b"raw", files=[tmp_path / "weights.bin"])
    found = kept.restore(into=tmp_path / "back")
    assert found is not None and (found.step, found.state) == (3, b"raw")
    assert (tmp_path / "back" / "weights.bin").read_bytes() == b"w3"
    assert manifests.steps(place(kept.uri)) == [3, 2]
    assert len(place(kept.uri).names("parts/")) == 4


@pytest.mark.parametrize("damage", [pytest.param(b'{"a": 9}', id="another content"), pytest.param(b"{", id="short")])
def test_a_damaged_checkpoint_is_passed_over_and_when_all_are_it_is_told(uri: str, damage: bytes):
    kept, there = Checkpoints(uri), place(uri)
    kept.save(1, {"a": 1})
    kept.save(2, {"a": 2})
    [newest] = there.names("parts/0000000002/")
    there.put(newest, damage)
    found = kept.restore()
    assert found is not None and found.state == {"a": 1}
    there.put(manifests.manifest_name(1), b"{}")
    with pytest.raises(Damaged, match="step 2: parts/0000000002/0-state"):
        kept.restore()


def test_damaged_ones_of_later_steps_do_not_sweep_away_what_is_saved_after_them(uri: str):
    for step in (1, 9):
        Checkpoints(uri, keep=3).save(step, {"step": step})
    spot = place(uri)
    (part,) = spot.names("parts/0000000009/")
    spot.put(part, b"torn")
    again = Checkpoints(uri, keep=1)
    found = again.restore()
    assert found is not None and found.step == 1
    for step in (2, 3):
        again.save(step, {"step": step})
        found = Checkpoints(uri).restore()
        assert found is not None and found.step == step
    assert manifests.steps(spot) == [9, 3]


def test_a_file_of_a_checkpoint_is_put_into_its_folder_whatever_it_is_called(tmp_path: Path):
    spot = place(str(tmp_path / "kept"))
    part = manifests.write_part(spot, 1, 0, "../../outside", "file", b"x")
    manifests.commit(spot, 1, 1, [part])
    assert Checkpoints(str(tmp_path / "kept")).restore(tmp_path / "a" / "into") is not None
    assert (tmp_path / "a" / "into" / "outside").read_bytes() == b"x"


def test_a_sharded_checkpoint_is_there_when_the_last_rank_has_written(uri: str):
    ranks = [Checkpoints(uri, sharded=True, rank=rank, world=2) for rank in (0, 1)]
    both = [threading.Thread(target=r.save, args=(5, {"rank": n})) for n, r in enumerate(ranks)]
    both[0].start()
    time.sleep(0.1)
    assert ranks[1].latest() is None
    both[1].start()
    for thread in both:
        thread.join(20)
    assert [found.state for r in ranks if (found := r.restore())] == [{"rank": 0}, {"rank": 1}]
    assert Checkpoints(uri, sharded=True, rank=0, world=3).shards() == [{"rank": 0}, {"rank": 1}]
    with pytest.raises(ValueError, match="saved by 2 ranks, there are 3 now: take shards"):
        Checkpoints(uri, sharded=True, rank=0, world=3).restore()


def test_what_a_killed_rank_left_is_never_mixed_into_the_next_attempt(uri: str, monkeypatch: pytest.MonkeyPatch):
    Checkpoints(uri, sharded=True, rank=1, world=2).save(5, {"from": "the old attempt"})
    monkeypatch.setenv("MILLSTREAM_RESTART", "1")
    monkeypatch.setattr(module, "PATIENCE_S", 0.2)
    first = Checkpoints(uri, sharded=True, rank=0, world=2)
    with pytest.raises(OSError, match="not all 2 ranks saved step 5"):
        first.save(5, {"from": "the new one"})
    assert first.restore() is None
    assert not place(first.uri).names(), "tidied up"


def test_an_asynchronous_save_holds_what_was_true_when_it_was_called(uri: str):
    kept, state = Checkpoints(uri, asynchronous=True), {"a": [1]}
    kept.save(1, state)
    state["a"].append(2)
    found = kept.restore()
    assert found is not None and found.state == {"a": [1]}


def test_a_place_that_does_not_take_it_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "file").write_text("no folder")
    kept = Checkpoints(str(tmp_path / "file" / "below"), asynchronous=True)
    kept.save(1, {"a": 1})
    with pytest.raises(OSError, match="below"):
        kept.wait()
    monkeypatch.delenv("MILLSTREAM_CHECKPOINT_URI", raising=False)
    with pytest.raises(ValueError, match="give uri="):
        Checkpoints()
    with pytest.raises(ValueError, match="no place for files: give s3://"):
        Checkpoints("hf://a/b")


TORCH = """
import sys, torch
from millstream.training import Checkpoints
kept = Checkpoints(sys.argv[1])
model = torch.nn.Linear(2, 1)
kept.save(1, {"model": model.state_dict(), "random": torch.get_rng_state(), "seen": (1, 2)})
found = kept.restore()
assert torch.equal(found.state["model"]["weight"], model.weight) and found.state["seen"] == (1, 2)
class Own: pass
kept.save(2, {"own": Own()})
try:
    kept.restore()
except Exception as error:
    print(type(error).__name__)
"""


def test_torch_states_come_back_as_they_were_and_nothing_else_is_unpickled(tmp_path: Path):
    assert _python(TORCH, str(tmp_path / "kept")).strip() == "UnpicklingError"


def _python(program: str, *arguments: str) -> str:
    done = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True, env=_env())
    assert done.returncode == 0, done.stderr
    return done.stdout


def _env(**more: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT / "sdk"), **more}


SAVING = """
import itertools, sys
from millstream.training import Checkpoints
kept = Checkpoints(sys.argv[1], keep=2)
print("ready", flush=True)
for step in itertools.count((kept.latest() or 0) + 1):
    kept.save(step, b"%d," % step * 200_000)
"""


def test_a_real_kill_at_any_moment_costs_no_checkpoint(uri: str):
    before = 0
    for delay_s in (0.013, 0.021, 0.034, 0.055):
        writer = subprocess.Popen([sys.executable, "-c", SAVING, uri], env=_env(), stdout=subprocess.PIPE, text=True)
        assert writer.stdout and writer.stdout.readline() == "ready\n"
        time.sleep(delay_s)
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        writer.stdout.close()
        found = Checkpoints(uri).restore()
        step = found.step if found else 0
        assert step >= before and (found is None or found.state == b"%d," % step * 200_000)
        before = step
    assert before, "some were written"


class Counter:
    """As torch's modules are: a state that can be taken and given."""

    def __init__(self) -> None:
        self.value = 0

    def state_dict(self) -> dict[str, int]:
        return {"value": self.value}

    def load_state_dict(self, state: dict[str, int]) -> None:
        self.value = state["value"]


def _count(
    total: int, kept: Checkpoints | None, at: Callable[[int], None] = lambda step: None
) -> tuple[list[int], int]:
    counter, done = Counter(), []
    for step in steps(total, {"counter": counter}, every=4, checkpoints=kept):
        at(step)
        counter.value += 1
        done.append(step)
    return done, counter.value


def test_a_loop_goes_on_from_the_last_checkpoint_and_redoes_no_more_than_one_interval(tmp_path: Path):
    def dies(step: int) -> None:
        if step == 6:
            raise Killed

    kept = Checkpoints(str(tmp_path))
    with pytest.raises(Killed):
        _count(10, kept, dies)
    assert _count(10, kept) == ([4, 5, 6, 7, 8, 9], 10)
    assert _count(10, kept) == ([], 10), "done is done"
    assert _count(3, None) == ([0, 1, 2], 3)


def test_a_loop_that_is_asked_to_end_finishes_its_step_and_saves_it(tmp_path: Path):
    kept = Checkpoints(str(tmp_path))
    with pytest.raises(SystemExit) as left:
        _count(10, kept, lambda step: os.kill(os.getpid(), signal.SIGTERM) if step == 5 else None)
    assert (left.value.code, kept.latest()) == (143, 6)
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_other_ranks_go_on_until_the_first_one_has_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("RANK", "1")
    term: Callable[[int], None] = lambda step: os.kill(os.getpid(), signal.SIGTERM) if step == 5 else None  # noqa: E731
    assert _count(10, Checkpoints(str(tmp_path)), term)[1] == 10
