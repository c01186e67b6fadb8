"""Runs every test, fast ones first, and stops at the first stage that fails.

python tests/run.py            all stages
python tests/run.py clients    one stage (or several)
"""

from __future__ import annotations

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Stage:
    """A set of test paths that run in one pytest process, or in `workers` of them.

    Workers get whole files, in the order of tests/conftest.py, since the tests of a file share what is dear to start;
    where they share nothing, `spread` gives them single tests.
    """

    name: str
    paths: tuple[str, ...]
    workers: int = 2
    spread: bool = False

    def command(self) -> list[str]:
        found = [path for path in self.paths if (ROOT / path).exists()]
        how = ["--dist", "worksteal"] if self.spread else ["--dist", "loadfile", "--no-loadscope-reorder"]
        parallel = ["-n", str(self.workers), *how] if self.workers > 1 else []
        return [sys.executable, "-m", "pytest", "-q", "--durations=5", *parallel, *found]


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
    Stage("architecture", ("tests/architecture", "tests/contracts", "tests/base", "tests/telemetry")),
    Stage("deploy", ("tests/deploy", "tests/sdk")),
    Stage("libs", ("tests/store", "tests/bus", "tests/blobs", "tests/resources", "tests/cluster", "tests/service")),
    Stage("services", ("tests/gateway", "tests/services")),
    Stage("node", ("tests/node",)),
    Stage("engines", ("tests/engines",)),
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
    for stage in STAGES:
        if wanted and stage.name not in wanted:
            continue
        print(f"\n=== {stage.name} ({time.monotonic() - began:.0f} s so far) ===", flush=True)
        code = subprocess.run(stage.command(), cwd=ROOT, check=False).returncode
        if code:
            print(f"stage {stage.name} failed (pytest exit code {code})")
            return code
    print(f"\nall stages passed in {time.monotonic() - began:.0f} s")
    return 0


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
