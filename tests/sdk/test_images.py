"""What an image is made of follows from the code; where it is built and from what follows from the machine."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow as arrow
import pytest
from millstream.dev.engines import REMEDY, Engine, NoEngine, find
from millstream.dev.images import FOLDER, Unlocked, _pinned, documents, drift, images
from millstream.dev.reach import LEFT_OUT, Unknown, closed, reach
from millstream.dev.sources import INSIDE, sources
from millstream.laptop import ROOT, manifests
from pyarrow import parquet

from tests.run import CHECKS

BUILD = [sys.executable, "-m", "millstream.dev.build"]
Program = Callable[[str, str], None]


@pytest.fixture
def tree(tmp_path: Path) -> Callable[..., Path]:
    """Writes a small repository: path -> text."""

    def write(**files: str) -> Path:
        for name, text in files.items():
            path = tmp_path / (name.replace("__", "/") + ".py")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return tmp_path

    return write


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Program:
    """Makes programs, and makes them the only ones on PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))

    def make(name: str, text: str) -> None:
        (folder / name).write_text(f"#!/bin/sh\n{text}\n")
        (folder / name).chmod(0o755)

    return make


def test_code_brings_what_it_imports_when_it_runs_also_late(tree: Callable[..., Path]) -> None:
    root = tree(
        services__a__app="from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import torch\n"
        "def f():\n    import httpx\n    from libs.b import c\n",
        libs__b__c="import yaml\n",
        libs__d__e="import numpy\n",
    )
    found = reach(root, ["services/a"])
    assert (found.pieces, found.packages) == ({"services/a", "libs/b"}, {"httpx", "pyyaml"})


def test_packages_that_python_runs_on_the_way_come_along(tree: Callable[..., Path]) -> None:
    root = tree(services__a__domain__x="", services__b__app="import services.a.domain.x\n")
    for folder in ("services", "services/a", "services/a/domain"):
        (root / folder / "__init__.py").write_text("")
    inits = {f"{folder}/__init__.py" for folder in ("services", "services/a", "services/a/domain")}
    assert reach(root, ["services/b"]).pieces == {"services/b", "services/a/domain/x.py", *inits}


def test_a_lib_that_is_opened_by_need_comes_with_the_need_alone(tree: Callable[..., Path]) -> None:
    root = tree(libs__service__shell="def f():\n    from libs.blobs import x\n", libs__blobs__x="import minio\n")
    assert "minio" not in reach(root, ["libs/service"]).packages
    assert "minio" in reach(root, ["libs/service", "libs/blobs"]).packages


def test_an_import_that_nobody_owns_is_refused_with_its_file(tree: Callable[..., Path]) -> None:
    with pytest.raises(Unknown, match=r"services/a/app.py imports no_such_package"):
        reach(tree(services__a__app="import no_such_package\n"), ["services/a"])


def test_requirements_are_closed_over_extras() -> None:
    assert "greenlet" in closed({"sqlalchemy"}, {"sqlalchemy": {"asyncio"}})
    assert "cryptography" in closed({"pyjwt"}, {"pyjwt": {"crypto"}}) - closed({"pyjwt"}, {})
    assert closed({"torch"}, {}) == {"torch"}, "pip sees to what torch asks for"


def test_what_the_lock_lacks_is_refused() -> None:
    with pytest.raises(Unlocked, match="no-such-package"):
        _pinned({"no-such-package"})


def test_there_is_an_image_for_every_service_but_the_laptops_node_and_one_for_each_workload() -> None:
    services = {each.name for each in manifests()} - {"node"}
    frameworks = {"deepspeed", "jax", "llm", "mpi", "paddle", "python", "tensorflow", "torch", "xgboost"}
    assert images(manifests()).keys() == services | frameworks | {"tools", "model-server", "initializer"}


def test_torch_is_in_workloads_images_alone_and_no_image_has_test_doubles() -> None:
    known = images(manifests())
    made = {name: documents(image) for name, image in known.items()}
    with_torch = {name for name, files in made.items() if FOLDER / name / "torch.txt" in files}
    assert with_torch == {"deepspeed", "llm", "model-server", "torch"}
    for name, files in made.items():
        lines = files[FOLDER / name / "files.txt"].splitlines()
        assert not [line for line in lines if line.startswith((*LEFT_OUT, "sdk/millstream/dev", "tests"))], name
        assert all((ROOT / line).exists() for line in lines), name
    manifests_ = {f"services/{each.name}/service.yaml" for each in manifests()}
    assert manifests_ <= set(made["gateway"][FOLDER / "gateway" / "files.txt"].splitlines())


IN_A_POD = """
import sys
from importlib.machinery import PathFinder
from importlib.metadata import packages_distributions

sent, known = set(sys.argv[1].split()), packages_distributions()

class OnlyWhatTheImageHas(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        whose = {each.lower().replace("_", "-") for each in known.get(name.partition(".")[0], ())}
        if name.partition(".")[0] != "millstream" and whose and not whose & sent:
            raise ModuleNotFoundError(f"the image has no {name}")

sys.meta_path.insert(0, OnlyWhatTheImageHas)
import millstream.checkpoints, millstream.training
from millstream.data import Stream

stream = Stream(sys.argv[2], batch=2, shuffle=True, format="numpy")
print(sorted(int(x) for batch in stream for x in batch["x"]), millstream.__file__)
"""


@pytest.mark.parametrize("name", ["python", "torch", "jax"])
def test_programs_in_a_pod_find_all_that_the_platforms_package_leads_to(name: str, tmp_path: Path) -> None:
    files = documents(images(manifests())[name])
    for line in files[FOLDER / name / "files.txt"].splitlines():
        (tmp_path / line).parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if (ROOT / line).is_dir() else shutil.copy)(ROOT / line, tmp_path / line)
    pins = files[FOLDER / name / "requirements.txt"] + files.get(FOLDER / name / "torch.txt", "")
    parquet.write_table(arrow.table({"x": [1, 2, 3]}), tmp_path / "x.parquet")
    program = [sys.executable, "-c", IN_A_POD, " ".join(pin.split("==")[0] for pin in pins.splitlines())]
    env = {**os.environ, "PYTHONPATH": str(tmp_path / "sdk")}
    told = subprocess.run([*program, str(tmp_path / "x.parquet")], env=env, capture_output=True, text=True, check=False)
    assert told.stdout.split(" /")[0] == "[1, 2, 3]", told.stderr
    assert str(tmp_path) in told.stdout, "it was read from another place than the image"


def test_a_change_of_the_code_shows_as_drift(monkeypatch: pytest.MonkeyPatch) -> None:
    known = images(manifests())["initializer"]
    written = documents(known)
    path = FOLDER / "initializer" / "requirements.txt"
    assert str(path) not in drift(written)
    assert str(path) in drift({**written, path: written[path] + "numpy==2\n"})


def test_every_dockerfile_is_among_the_checks_and_a_bad_one_fails_them(tmp_path: Path) -> None:
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    found = [name for name in tracked.splitlines() if Path(name).name.endswith(("Dockerfile", "Containerfile"))]
    [(program, *linted)] = [command for name, command in CHECKS if name == "dockerfile"]
    assert linted == found
    bad = tmp_path / "Dockerfile"
    bad.write_text("FROM debian\nRUN cd /tmp && apt-get install curl\n")
    hadolint = [str(Path(sys.executable).parent / program), "--no-color", str(bad)]
    done = subprocess.run(hadolint, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode != 0 and "DL3006" in done.stdout


def test_an_engine_whose_client_has_no_engine_behind_it_is_passed_over(program: Program) -> None:
    program("docker", 'echo "Cannot connect to the Docker daemon" >&2; exit 1')
    program("buildah", "exit 0")
    engine, refused = find()
    assert engine == Engine("buildah")
    assert refused == [
        "docker: installed, but `docker info` fails: Cannot connect to the Docker daemon",
        "podman: not installed",
    ]


def test_without_an_engine_it_is_said_what_to_install(program: Program) -> None:
    with pytest.raises(NoEngine, match="docker: not installed") as refusal:
        find()
    assert REMEDY in str(refusal.value)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["nobody"], "no image is called nobody: choose from gateway, pipelines, registry"),
        (["trainer", "--prefix", "example.test/team"], "end it with / (or -)"),
        (["trainer", "--engine", "kaniko"], "kaniko: not known: choose from docker, podman, buildah"),
    ],
)
def test_a_request_that_makes_no_sense_is_refused(words: list[str], told: str) -> None:
    done = subprocess.run([*BUILD, *words], cwd=ROOT, env=dict(os.environ), capture_output=True, text=True, check=False)
    assert done.returncode == 2 and told in done.stderr


def test_indexes_come_from_the_environment_before_pips_configuration_and_stay_secret(tmp_path: Path) -> None:
    index = tmp_path / "mirror" / "simple"
    index.mkdir(parents=True)
    environ = {"PIP_INDEX_URL": "https://me:pass word@index.test/simple", "HOME": "/nowhere", "UV_INDEX_URL": ""}
    configured = {
        "PIP_INDEX_URL": "https://other.test",
        "PIP_EXTRA_INDEX_URL": f"file://{index}",
        "PIP_CERT": "/ca.pem",
    }
    found = sources(environ, configured)
    assert found.folders == [tmp_path / "mirror"]
    assert found.script().splitlines() == [
        f"export PIP_CERT={INSIDE}",
        f"export PIP_EXTRA_INDEX_URL=file://{index}",
        "export PIP_INDEX_URL='https://me:pass word@index.test/simple'",
        f"export SSL_CERT_FILE={INSIDE}",
    ]
    command = Engine("docker").build("x", Path("Dockerfile"), {"IMAGE": "x"}, {"index": tmp_path / "index"})
    assert "--secret" in command and "index.test" not in " ".join(command)


def test_nothing_is_said_where_nothing_is_configured() -> None:
    found = sources({"HOME": "/nowhere"}, {})
    assert (found.script(), found.certificates, list(found.folders)) == ("", None, [])
