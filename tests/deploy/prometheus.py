"""Debian's promtool for tests: found on the PATH, else taken out of Debian's package, which need not be installed."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

CACHE = Path(os.environ.get("XDG_CACHE_HOME", "") or Path.home() / ".cache") / "millstream"
PATIENCE_S = 120


def promtool() -> Path | None:
    """The program, None where neither it nor Debian's archive can be had (19 MB, kept for the next time)."""
    installed = shutil.which("promtool")
    if installed:
        return Path(installed)
    kept = CACHE / "prometheus" / "usr" / "bin" / "promtool"
    if not kept.exists():
        _fetch(CACHE)
    return kept if kept.exists() else None


def _fetch(folder: Path) -> None:
    """Downloads and unpacks as anyone may; a part that fails leaves nothing behind that looks whole."""
    if not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
        return
    raw, fresh = folder / "prometheus.raw", folder / "prometheus.new"
    for each in (raw, fresh):
        shutil.rmtree(each, ignore_errors=True)
        each.mkdir(parents=True)
    got = subprocess.run(
        ["apt-get", "download", "prometheus"], cwd=raw, capture_output=True, timeout=PATIENCE_S, check=False
    )
    packages = list(raw.glob("*.deb"))
    if got.returncode or not packages:
        return
    subprocess.run(["dpkg-deb", "-x", str(packages[0]), str(fresh)], check=True, timeout=PATIENCE_S)
    shutil.rmtree(raw)
    fresh.rename(folder / "prometheus")
