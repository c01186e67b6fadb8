"""Writes the golden compiled pipelines: `python -m tests.services.pipelines.golden.make`.

Every source is compiled by each release of kfp that versions.json names, together with the kfp-kubernetes beside it, in
an environment of its own that is removed again. The newest release's folder is whole; an older one keeps only what is
new or other than in the release before it. It needs a package index, so tests read the files and never make them.
Since 2.14 kfp numbers components of one name, and orders keys, in another way each time: such a difference is none.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
RELEASES: dict[str, str] = json.loads((HERE / "versions.json").read_text())


def main() -> None:
    newest, before = list(RELEASES)[-1], dict[str, str]()
    for release in RELEASES:
        compiled, left_out = make(release)
        shapes = {name: text.replace(release, "RELEASE") for name, text in compiled.items()}
        kept = {name: compiled[name] for name in shapes if release == newest or before.get(name) != shapes[name]}
        before |= shapes
        _write(HERE / f"kfp_{release}", kept)
        print(f"kfp {release}: {len(kept)} of {len(compiled)} pipelines", flush=True)
        for source, why in left_out.items():
            print(f"    not {source}: {why.splitlines()[0][:150]}", flush=True)


def make(release: str) -> tuple[dict[str, str], dict[str, str]]:
    """What this release compiles by the name of its file, and why it refuses the others."""
    with tempfile.TemporaryDirectory(prefix="kfp") as place:
        python, out = _environment(Path(place) / "environment", release), Path(place) / "out"
        out.mkdir()
        program = [python, str(HERE / "compiled.py"), str(HERE / "sources"), str(out)]
        done = subprocess.run(
            program, capture_output=True, text=True, check=True, cwd=place, env=os.environ | {"PYTHONHASHSEED": "0"}
        )
        return {file.name: file.read_text() for file in out.iterdir()}, json.loads(done.stdout.rsplit("RESULT ", 1)[1])


def _environment(place: Path, release: str) -> str:
    uv, python = str(Path(sys.executable).parent / "uv"), str(place / "bin" / "python")
    subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, str(place)], check=True)
    wanted = [f"kfp=={release}", f"kfp-kubernetes=={RELEASES[release]}", "setuptools<80"]
    subprocess.run([uv, "pip", "install", "--quiet", "--python", python, *wanted], check=True)
    return python


def _write(folder: Path, texts: dict[str, str]) -> None:
    folder.mkdir(exist_ok=True)
    for old in folder.glob("*.yaml"):
        old.unlink()
    for name, text in texts.items():
        (folder / name).write_text(text)


if __name__ == "__main__":
    main()
