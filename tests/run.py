"""Runs every test, fast ones first, and stops at the first stage that fails.

python tests/run.py            all stages
python tests/run.py clients    one stage (or several)
"""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Stage:
    """A set of test paths that run in one pytest process, or in `workers` of them: one a core, one more where tests
    wait more than they compute.

    Workers get whole files, in the order of tests/conftest.py, since the tests of a file share what is dear to start;
    where they share nothing, `spread` gives them single tests. A stage `beside` the others is one process that takes
    its time: it begins first, with what the others leave of the machine, and is heard last.
    """

    name: str
    paths: tuple[str, ...]
    workers: int = 2
    spread: bool = False
    beside: bool = False

    def command(self) -> list[str]:
        found = [path for path in self.paths if (ROOT / path).exists()]
        how = ["--dist", "worksteal"] if self.spread else ["--dist", "loadfile", "--no-loadscope-reorder"]
        parallel = ["-n", str(self.workers), *how] if self.workers > 1 else []
        others = [f"--ignore={path}" for stage in STAGES if stage.beside and stage is not self for path in stage.paths]
        return [sys.executable, "-m", "pytest", "-q", "--durations=5", *parallel, *others, *found]


CHECKS = (
    ("types", ["mypy"]),
    ("format", ["ruff", "format", "--check", "."]),
    ("lint", ["ruff", "check", "."]),
    ("imports", ["lint-imports"]),
    ("golden", ["python", "-m", "contracts.golden", "--check"]),
    ("images", ["python", "-m", "millstream.dev.images", "--check"]),
    ("dockerfile", ["hadolint", "deploy/images/Dockerfile"]),
    ("manifests", ["python", "-m", "millstream.dev.deploy", "--check"]),
    ("monitoring", ["python", "-m", "millstream.dev.monitoring", "--check"]),
)
STAGES = (
    Stage("images", ("tests/deploy/test_images.py",), workers=1, beside=True),
    Stage("architecture", ("tests/architecture", "tests/contracts", "tests/base", "tests/telemetry")),
    Stage("deploy", ("tests/deploy", "tests/sdk")),
    Stage("libs", ("tests/store", "tests/bus", "tests/blobs", "tests/resources", "tests/cluster", "tests/service"), 3),
    Stage("services", ("tests/gateway", "tests/services"), 3),
    Stage("node", ("tests/node",), 3),
    Stage("engines", ("tests/engines",), 3),
    Stage("simulation", ("tests/simulation",), spread=True),
    Stage("e2e", ("tests/e2e", "tests/cluster_suite")),
    Stage("clients", ("tests/clients",)),
    Stage("frameworks", ("tests/frameworks",)),
)


def main() -> int:
    wanted = sys.argv[1:]
    known = ["checks", *(stage.name for stage in STAGES)]
    if unknown := [name for name in wanted if name not in known]:
        print(f"no stage is called {', '.join(unknown)}: choose from {', '.join(known)}")
        return 2
    began = time.monotonic()
    if (not wanted or "checks" in wanted) and not _checks():
        return 1
    with ExitStack() as stack:
        chosen = [stage for stage in STAGES if not wanted or stage.name in wanted]
        beside = {stage: stack.enter_context(_begun(stage)) for stage in chosen if stage.beside}
        for stage in [*(each for each in chosen if not each.beside), *beside]:
            print(f"\n=== {stage.name} ({time.monotonic() - began:.0f} s so far) ===", flush=True)
            code = beside[stage]() if stage in beside else subprocess.run(stage.command(), cwd=ROOT).returncode
            if code:
                print(f"stage {stage.name} failed (pytest exit code {code})")
                return code
    print(f"\nall stages passed in {time.monotonic() - began:.0f} s")
    return 0


@contextmanager
def _begun(stage: Stage) -> Iterator[Callable[[], int]]:
    """A stage that runs meanwhile; the call waits for it, shows what it said and gives its exit code."""
    with TemporaryFile("w+") as said:
        process = subprocess.Popen(["nice", "-n", "5", *stage.command()], cwd=ROOT, stdout=said, stderr=said)

        def over() -> int:
            code = process.wait()
            said.seek(0)
            print(said.read(), flush=True)
            return code

        try:
            yield over
        finally:
            process.send_signal(signal.SIGINT)  # when another stage has failed: it clears away what it made
            process.wait()


def _checks() -> bool:
    """All of them, two at a time; those that failed say why."""
    with ThreadPoolExecutor(2) as pool:
        done = list(pool.map(lambda check: _said(check[1]), CHECKS))
    for (name, _), (code, text) in zip(CHECKS, done, strict=True):
        print(f"{name}: {'FAILED' if code else 'ok'}\n{text if code else ''}".strip(), flush=True)
    return not any(code for code, _ in done)


def _said(command: list[str]) -> tuple[int, str]:
    program = Path(sys.executable).parent / command[0]
    done = subprocess.run([str(program), *command[1:]], cwd=ROOT, check=False, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


if __name__ == "__main__":
    sys.exit(main())
