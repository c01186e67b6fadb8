"""Runs every test, fast ones first, and stops at the first stage that fails.

python tests/run.py            all stages
python tests/run.py clients    one stage (or several)
"""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Stage:
    """A set of test paths that run in one pytest process, or in `workers` of them."""

    name: str
    paths: tuple[str, ...]
    workers: int = 0

    def command(self) -> list[str]:
        found = [path for path in self.paths if (ROOT / path).exists()]
        parallel = ["-n", str(self.workers), "--dist", "loadfile"] if self.workers else []
        return [sys.executable, "-m", "pytest", "-q", "--durations=5", *parallel, *found]


CHECKS = (
    ("format", ["ruff", "format", "--check", "."]),
    ("lint", ["ruff", "check", "."]),
    ("imports", ["lint-imports"]),
    ("types", ["mypy"]),
    ("golden", ["python", "-m", "contracts.golden", "--check"]),
    ("images", ["python", "-m", "millstream.dev.images", "--check"]),
    ("dockerfile", ["hadolint", "deploy/images/Dockerfile"]),
    ("manifests", ["python", "-m", "millstream.dev.deploy", "--check"]),
    ("monitoring", ["python", "-m", "millstream.dev.monitoring", "--check"]),
)
STAGES = (
    Stage("architecture", ("tests/architecture", "tests/contracts", "tests/base", "tests/telemetry")),
    Stage("deploy", ("tests/deploy",), 2),
    Stage("libs", ("tests/store", "tests/bus", "tests/blobs", "tests/resources", "tests/cluster", "tests/service"), 2),
    Stage("services", ("tests/gateway", "tests/services", "tests/sdk"), 2),
    Stage("node", ("tests/node",), 2),
    Stage("engines", ("tests/engines",), 2),
    Stage("simulation", ("tests/simulation",)),
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
    beside = Path(sys.executable).parent
    for name, (program, *arguments) in CHECKS:
        done = subprocess.run(
            [str(beside / program), *arguments], cwd=ROOT, check=False, capture_output=True, text=True
        )
        print(f"{name}: {'ok' if done.returncode == 0 else 'FAILED'}", flush=True)
        if done.returncode:
            print(done.stdout + done.stderr)
            return False
    return True


if __name__ == "__main__":
    sys.exit(main())
