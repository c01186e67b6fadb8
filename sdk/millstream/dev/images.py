"""`python -m millstream.dev.images`: writes deploy/images/<image>/, what each image is made of; `--check` compares.

Per image: `files.txt` (our code), `requirements.txt` (the lock's lines for what that code imports), `torch.txt` where
it imports torch, `start`, what the image runs, `workbench` where that is users' code, and `stands_for` where a laptop
makes an environment of it: the names that promise the same. The Dockerfile reads nothing else, so any builder can use
it.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from libs.service.manifest import Manifest
from millstream.dev.reach import BY_PIP, closed, normal, reach
from millstream.laptop import ROOT, manifests

FOLDER = Path("deploy/images")
NODE = "node"
"""Stands for the cluster on a laptop, so no cluster runs it."""
LIB_OF_NEED = {"blobs": "libs/blobs", "bus": "libs/bus", "cluster": "libs/cluster", "store": "libs/store"}
MANIFESTS = "services/*/service.yaml"
MIGRATIONS = "services/*/adapters/migrations"
"""By which a restore makes a service's tables."""
BESIDE = {"gateway": (MANIFESTS,), "pipelines": ("services/pipelines/workloads",)}
"""What a service reads and does not import; pipelines hands its launcher on to the pods of steps."""
_START = '#!/bin/sh\n# Written by `make golden`.\nexec {} "$@"\n'
FOR_USERS = ("sdk/millstream/training.py", "sdk/millstream/data")
"""What programs in pods import of ours: the helper with its checkpoints, and the reader of streamed data."""
PINS = Path("requirements")
_WORKBENCH = "Users' code runs here: it keeps pip and starts in a folder it may write to.\n"
_OPEN_START = '#!/bin/sh\n# Written by `make golden`.\n[ $# -gt 0 ] || set -- python\nexec "$@"\n'


@dataclass(frozen=True)
class Image:
    """`seeds` are patterns of what it runs, `files` of what no import shows; `without` is code it does not bring along.

    `packages` are what users' code may expect on top, and so is what requirements/<name>.txt pins, if there is one:
    `stands_for` are then the names of public images that promise that too. Without a `command` it runs what it is told.
    """

    name: str
    title: str
    seeds: tuple[str, ...]
    command: str = ""
    packages: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    stands_for: tuple[str, ...] = ()


def _framework(name: str, title: str, *stands_for: str, packages: tuple[str, ...] = ()) -> Image:
    """One for users' training with what requirements/<name>.txt pins."""
    names = (f"millstream/{name}", f"*/millstream-{name}", *stands_for)
    return Image(name, f"Users' training with {title}", FOR_USERS, packages=packages, stands_for=names)


class Unlocked(Exception):
    """A distribution that an image needs and requirements.lock does not name."""


WORKLOADS = (
    Image(
        "tools",
        "The millstream command, and the jobs that set a cluster up and back it up",
        ("sdk/millstream/cli/*.py", "sdk/millstream/cluster", "sdk/millstream/backup"),
        "python -m millstream.cli",
        files=(MANIFESTS, MIGRATIONS),
        without=("sdk/millstream/cli/demo.py",),  # it needs the demo's data, so scikit-learn and Arrow
    ),
    Image(
        "model-server",
        "Serves one model over the V1 and Open Inference protocols",
        ("services/serving/workloads",),
        "python -m services.serving.workloads.model_server",
    ),
    Image(
        "initializer",
        "Brings data and models to a training pod",
        ("services/trainer/workloads",),
        "python -m services.trainer.workloads.initializer",
    ),
    Image(
        "torch",
        "Users' training with torch, and the platform's three calls",
        (*FOR_USERS, "sdk/millstream/demo/train.py"),
        packages=("numpy", "torch"),
    ),
    Image(
        "python",
        "Users' Python programs, and the platform's three calls",
        FOR_USERS,
        packages=("joblib", "numpy", "pyarrow", "scikit-learn"),
    ),
    _framework("jax", "JAX", "*/jax"),
    _framework("tensorflow", "TensorFlow", "*/tensorflow"),
    _framework("xgboost", "XGBoost", "*/xgboost", "*/xgboost-runtime", "*/xgboost-dist-iris"),
    _framework("mpi", "OpenMPI and mpi4py", "mpioperator/*", "*/mpi"),
    _framework("deepspeed", "DeepSpeed", "*/deepspeed", "*/deepspeed-runtime", packages=("torch",)),
    _framework("paddle", "PaddlePaddle", "*/paddle"),
    Image(
        "llm",
        "Fine-tunes language models, and the platform's calls for users' code",
        FOR_USERS,
        packages=("torch",),
        files=("sdk/millstream/tune",),  # it imports what requirements/llm.txt pins, not what the platform has
        stands_for=("millstream/llm", "*/millstream-llm", "*/torchtune-trainer"),
    ),
)


def images(services: Sequence[Manifest]) -> dict[str, Image]:
    """Every image by name: one a service, then the workloads'."""
    own = [_of_service(each) for each in services if each.name != NODE]
    return {image.name: image for image in (*own, *WORKLOADS)}


def _of_service(manifest: Manifest) -> Image:
    folder = ROOT / "services" / manifest.name
    parts = (path for path in sorted(folder.iterdir()) if path.name not in {"workloads", "__pycache__"})
    libs = tuple(LIB_OF_NEED[need] for need in manifest.needs)
    return Image(
        manifest.name,
        f"Millstream's {manifest.name}",
        (*(path.relative_to(ROOT).as_posix() for path in parts), *libs),
        f"python -m services.{manifest.name}",
        files=BESIDE.get(manifest.name, ()),
    )


def documents(image: Image) -> dict[Path, str]:
    """What the image's folder holds, by path."""
    found = reach(ROOT, _matching(image.seeds) - set(image.without), image.without)
    pieces = found.pieces | _matching(image.files)
    packages = closed({*found.packages, *image.packages}, _extras())
    folder = FOLDER / image.name
    written = {
        folder / "files.txt": _lines(pieces),
        folder / "requirements.txt": _lines(_with_own(_pinned(packages - BY_PIP), image.name)),
        folder / "start": _START.format(image.command) if image.command else _OPEN_START,
    }
    # The helper for users' code saves torch's state for who has torch; a workbench without it needs none.
    if "torch" in (packages if image.command else image.packages):
        written[folder / "torch.txt"] = _lines({_torch()})
    if not image.command:
        written[folder / "workbench"] = _WORKBENCH
    if image.stands_for:
        written[folder / "stands_for"] = _lines(set(image.stands_for))
    return written


def _matching(patterns: Sequence[str]) -> set[str]:
    return {path.relative_to(ROOT).as_posix() for pattern in patterns for path in ROOT.glob(pattern)}


def _lines(words: set[str]) -> str:
    return "".join(f"{word}\n" for word in sorted(words))


def _pinned(packages: set[str]) -> set[str]:
    lock = {line.split("==")[0]: line for line in (ROOT / "requirements.lock").read_text().splitlines()}
    if missing := packages - lock.keys():
        raise Unlocked(
            f"requirements.lock has no {', '.join(sorted(missing))}: name it in requirements.in, `make lock`"
        )
    return {lock[name] for name in packages}


def _with_own(pins: set[str], name: str) -> set[str]:
    """With the image's own pins, which win: they were chosen to fit each other."""
    path = ROOT / PINS / f"{name}.txt"
    own = {line.split("==")[0]: line for line in path.read_text().splitlines()} if path.exists() else {}
    return set(({pin.split("==")[0]: pin for pin in pins} | own).values())


def _extras() -> dict[str, set[str]]:
    """The extras that requirements.in asks for, by package."""
    asked = re.findall(r"^([\w.-]+)\[([\w,-]+)\]", (ROOT / "requirements.in").read_text(), re.MULTILINE)
    return {normal(name): set(words.split(",")) for name, words in asked}


def _torch() -> str:
    """The one build that the Makefile names."""
    found = re.search(r"^TORCH := (\S+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert found, "the Makefile says TORCH := torch==<version>"
    return found[1]


def wanted() -> dict[Path, str]:
    """Every generated file, by its path from the root."""
    return {path: text for image in images(manifests()).values() for path, text in documents(image).items()}


def drift(written: dict[Path, str]) -> list[str]:
    """Paths that differ on disk, are missing, or belong to an image that is no more."""
    on_disk = {path.relative_to(ROOT) for path in (ROOT / FOLDER).glob("*/*")}
    differ = {path for path, text in written.items() if path not in on_disk or (ROOT / path).read_text() != text}
    return sorted(str(path) for path in differ | (on_disk - written.keys()))


def main(arguments: Sequence[str]) -> int:
    written = wanted()
    differ = drift(written)
    if "--check" in arguments:
        for path in differ:
            print(f"{path} is not what the code asks for: run `make golden`")
        return 1 if differ else 0
    for name in differ:
        path = Path(name)
        if path not in written:
            (ROOT / path).unlink()
            continue
        (ROOT / path).parent.mkdir(parents=True, exist_ok=True)
        (ROOT / path).write_text(written[path])
        (ROOT / path).chmod(0o755 if path.name == "start" else 0o644)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
