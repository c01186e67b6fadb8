"""What a user calls a pipeline, a Python file or what kfp compiled from one, as the documents that the API takes."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from millstream.errors import ClientError
from millstream.pipelines import _interpreter

Document = dict[str, Any]


@dataclass(frozen=True)
class Compiled:
    """A compiled pipeline: its specification, and what it asks of Kubernetes if it asks for anything."""

    spec: Document
    platform: Document | None

    @property
    def name(self) -> str:
        return str((self.spec.get("pipelineInfo") or {}).get("name") or "pipeline")

    @property
    def body(self) -> Document:
        """As kfp's client sends it."""
        return {"pipeline_spec": self.spec, "platform_spec": self.platform} if self.platform else self.spec


def read(path: Path, pipeline: str = "", python: str = "") -> Compiled:
    """Raises ClientError naming the file and what is wrong with it."""
    if not path.is_file():
        raise ClientError(f"there is no file {path}")
    if path.suffix != ".py":
        return parse(_text(path), str(path))
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "pipeline.yaml"
        _run_compiler(interpreter(python), path, pipeline, target)
        return parse(target.read_text(), str(path))


def parse(text: str, source: str) -> Compiled:
    import yaml

    try:
        documents = [doc for doc in yaml.load_all(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader)) if doc]
    except yaml.YAMLError as error:
        raise ClientError(f"{source} is not YAML: {error}") from error
    specs = [doc for doc in documents if isinstance(doc, dict) and "root" in doc]
    platforms = [doc for doc in documents if isinstance(doc, dict) and "platforms" in doc]
    if len(specs) != 1 or len(platforms) > 1 or len(specs) + len(platforms) != len(documents):
        raise ClientError(f"{source} is no compiled pipeline: give what `kfp dsl compile` wrote, or a .py file")
    return Compiled(specs[0], platforms[0] if platforms else None)


def interpreter(wanted: str = "") -> str:
    """The Python that has kfp: the one asked for, else the one whose environment is active, else this one. kfp is
    never part of the platform's own environment: the version is the user's choice."""
    if wanted:
        found = shutil.which(wanted)
        if found is None:
            raise ClientError(f"--python {wanted!r} is not a program")
        return found
    candidates = [found for name in ("python3", "python") if (found := shutil.which(name))]
    for candidate in dict.fromkeys([*candidates, sys.executable]):
        known = subprocess.run([candidate, "-c", _HAS_KFP], capture_output=True, check=False)
        if known.returncode == 0:
            return candidate
    raise ClientError("no Python with kfp was found: activate the environment that has it, or say --python PATH")


_HAS_KFP = """
import sys
sys.path[:] = [folder for folder in sys.path if folder]  # not what lies in the folder where somebody stands
import importlib.util
spec = importlib.util.find_spec("kfp")
sys.exit(spec is None or spec.origin is None)  # packages that only add to kfp leave a folder without a program
"""
"""Without importing it, which takes a second."""


def _run_compiler(python: str, path: Path, pipeline: str, target: Path) -> None:
    """What the file prints is shown; what kfp warns of is not."""
    command = [python, _interpreter.__file__, "compile", str(path), pipeline, str(target)]
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode == 0:
        return
    if done.returncode == _interpreter.WORDS and target.exists():
        raise ClientError(target.read_text())
    ended = f"{python} ended with {done.returncode} while it compiled {path}"
    raise ClientError(f"{ended}:\n{done.stderr.strip()}".rstrip(":\n"))


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise ClientError(f"cannot read {path}: {error}") from error
