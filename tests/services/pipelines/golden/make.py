"""Writes the golden compiled pipelines: `python -m tests.services.pipelines.golden.make [RELEASE ...]`.

Every source is compiled by each release of kfp that versions.json names, together with the kfp-kubernetes beside it, in
an environment of its own that is removed again. It needs a package index, so tests read the files and never make them.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
RELEASES: dict[str, str] = json.loads((HERE / "versions.json").read_text())


def folder_of(release: str) -> Path:
    return HERE / f"kfp_{release}"


def main(releases: list[str]) -> None:
    for release in releases or list(RELEASES):
        left_out = make(release)
        print(f"kfp {release}: {len(list(folder_of(release).glob('*.yaml')))} pipelines", flush=True)
        for source, why in left_out.items():
            print(f"    not {source}: {why.splitlines()[0][:150]}", flush=True)


def make(release: str) -> dict[str, str]:
    folder = folder_of(release)
    folder.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="kfp") as place:
        python = _environment(Path(place), release)
        program = [python, str(HERE / "compiled.py"), str(HERE / "sources"), str(folder)]
        done = subprocess.run(program, capture_output=True, text=True, check=True, cwd=place)
    return dict(json.loads(done.stdout.rsplit("RESULT ", 1)[1]))


def _environment(place: Path, release: str) -> str:
    uv, python = str(Path(sys.executable).parent / "uv"), str(place / "bin" / "python")
    subprocess.run([uv, "venv", "--quiet", "--allow-existing", "--python", sys.executable, str(place)], check=True)
    wanted = [f"kfp=={release}", f"kfp-kubernetes=={RELEASES[release]}", "setuptools<80"]
    subprocess.run([uv, "pip", "install", "--quiet", "--python", python, *wanted], check=True)
    return python


if __name__ == "__main__":
    main(sys.argv[1:])
