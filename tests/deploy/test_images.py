"""Images are built as `make images` builds them and run locked down: they hold what their code needs, and no more.

Debian's buildah and debootstrap are installed when they are missing; the tests are skipped only without root or mirror.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.deploy.imagebench import ROOT, UID, Bench, Broken, Built, Unavailable, open_bench

pytestmark = pytest.mark.timeout(900)
INSIDE = Path(__file__).parent / "inside"
LISTS = ROOT / "deploy" / "images"


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    began = time.monotonic()
    try:
        bench = open_bench(tmp_path_factory.mktemp("images") / "build.log")
    except Unavailable as reason:
        pytest.skip(f"images are not built here: {reason}")
    print(f"\nbase ready after {time.monotonic() - began:.0f} s")
    yield bench
    bench.close()


def _built(bench: Bench, name: str, *options: str) -> Built:
    began = time.monotonic()
    built = bench.build(name, "ci", *options)
    size = sum(int(path.lstat().st_size) for path in built.root.rglob("*") if path.is_file() and not path.is_symlink())
    print(f"\n{name}: built in {time.monotonic() - began:.0f} s, {size / 2**20:.0f} MiB with its base")
    return built


@pytest.fixture(scope="module")
def registry(bench: Bench) -> Built:
    return _built(bench, "registry")


@pytest.fixture(scope="module")
def model_server(bench: Bench) -> Built:
    return _built(bench, "model-server", "--layers=false")  # a layer of a gigabyte for each step takes its time


@pytest.fixture(scope="module", params=["registry", "model_server"])
def image(request: pytest.FixtureRequest) -> Built:
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="module")
def seen(image: Built) -> dict[str, Any]:
    """What tests/deploy/inside/look.py finds; it fails where an import does."""
    further = ["asyncpg", "aiosqlite", "httptools", "sklearn", "xgboost", "onnxruntime"]
    done = image.run("python", "/tmp/look.py", *further, files=INSIDE)
    assert done.returncode == 0, done.stderr[-3000:]
    return dict(json.loads(done.stdout.splitlines()[-1]))


def _name(image: Built) -> str:
    return image.name.split("/")[-1].split(":")[0]


def test_all_of_its_code_imports_without_network_and_without_writing(image: Built, seen: dict[str, Any]) -> None:
    expected = {"registry": "services.registry.app", "model-server": "services.serving.workloads.model_server.rpc"}
    assert expected[_name(image)] in seen["imported"] and len(seen["imported"]) > 30
    assert seen["uncompiled"] == 0


def test_it_runs_as_nobody_in_particular_and_can_change_nothing(seen: dict[str, Any]) -> None:
    assert seen["user"] == [UID, UID, [UID]]
    assert seen["root"] == seen["app"] == "Read-only file system"
    assert seen["writable"] == []


def test_nothing_that_installs_or_compiles_is_left_inside(seen: dict[str, Any]) -> None:
    assert seen["programs"] == []
    assert not {"pip", "ensurepip", "uv"} & set(seen["modules"])


def test_a_service_has_the_locks_packages_that_its_code_imports_and_no_others(
    registry: Built,
) -> None:
    code = "from importlib.metadata import distributions as d; print(*(f'{x.name}=={x.version}' for x in d()))"
    inside = {re.sub(r"[-_.]+", "-", word.split("==")[0]).lower() for word in registry.python(code).split()}
    listed = {line.split("==")[0] for line in (LISTS / "registry" / "requirements.txt").read_text().splitlines()}
    assert inside == listed
    assert not {"torch", "numpy", "minio", "pytest"} & inside


def test_drivers_that_are_loaded_by_name_are_inside(image: Built, seen: dict[str, Any]) -> None:
    expected = {
        "registry": {"asyncpg", "aiosqlite", "httptools"},
        "model-server": {"torch", "sklearn", "xgboost", "onnxruntime", "httptools"},
    }
    assert set(seen["modules"]) == expected[_name(image)]


def test_labels_say_what_it_is_and_nothing_says_where_packages_came_from(image: Built) -> None:
    labels = image.config["Labels"]
    prefix = "org.opencontainers.image."
    assert labels[f"{prefix}title"] == f"millstream-{_name(image)}"
    assert re.fullmatch("[0-9a-f]{40}", labels[f"{prefix}revision"]) and labels[f"{prefix}version"]
    assert labels[f"{prefix}created"].startswith("20") and labels[f"{prefix}base.name"]
    assert image.config["User"] == f"{UID}:{UID}"
    assert image.config["Entrypoint"] == ["/opt/millstream/bin/start"]
    told = json.dumps([image.described["OCIv1"]["history"], image.config])
    assert "://" not in told and "PIP_" not in told.replace("PIP_DISABLE", "").replace("PIP_CACHE", "")


def test_the_service_starts_on_its_tables_answers_and_ends_when_told(registry: Built, tmp_path: Path) -> None:
    shutil.copy(INSIDE / "registry.py", tmp_path)
    shutil.copy(Path(sys.executable).parent / "nats-server", tmp_path)
    done = registry.run("python", "/tmp/registry.py", files=tmp_path)
    assert done.stdout.splitlines()[-2:] == ["readyz 200", "ended 0"], done.stdout + done.stderr[-3000:]


def test_the_model_server_serves_a_model_saved_by_torch(model_server: Built) -> None:
    done = model_server.run("python", "/tmp/model.py", files=INSIDE)
    assert done.stdout.splitlines()[-2:] == ["predicted [321.0]", "ended 0"], done.stdout + done.stderr[-3000:]


def test_a_second_build_of_the_same_commit_has_the_same_layers(bench: Bench) -> None:
    first = bench.build("initializer", "first", "--no-cache")
    second = bench.build("initializer", "second", "--no-cache")
    assert first.layers == second.layers, _differences(first, second)


def _differences(first: Built, second: Built) -> str:
    done = subprocess.run(
        ["diff", "-rq", "--no-dereference", str(first.root / "opt"), str(second.root / "opt")],
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout[:3000] or "the same files, in other words: times, owners or order"


def test_a_build_that_cannot_succeed_says_why(bench: Bench) -> None:
    with pytest.raises(Broken, match="no-such-base"):
        bench.build("initializer", "never", "--build-arg=BASE_IMAGE=localhost/no-such-base:1")
