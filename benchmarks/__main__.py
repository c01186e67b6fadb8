"""Runs every benchmark of this folder, one after the other, and keeps what they print in benchmarks/results.txt.

python -m benchmarks            all
python -m benchmarks bus store  some
"""

from __future__ import annotations

import platform
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

HERE = Path(__file__).parent


def main() -> int:
    known = sorted(path.stem for path in HERE.glob("[a-z]*.py"))
    wanted = sys.argv[1:] or known
    if unknown := set(wanted) - set(known):
        print(f"no benchmark is called {', '.join(sorted(unknown))}: choose from {', '.join(known)}")
        return 2
    told = [f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, Python {platform.python_version()}, {_cores()} cores, Linux"]
    for name in wanted:
        print(f"=== {name}", flush=True)
        done = subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], capture_output=True, text=True, check=False)
        print(done.stdout, end="", flush=True)
        if done.returncode:
            print(done.stderr)
            return done.returncode
        told.append(f"\n=== {name}  (python -m benchmarks.{name})\n{done.stdout}")
    (HERE / "results.txt").write_text("\n".join(told))
    return 0


def _cores() -> int:
    import os

    return len(os.sched_getaffinity(0))


if __name__ == "__main__":
    sys.exit(main())
