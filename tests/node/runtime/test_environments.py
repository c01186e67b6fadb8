"""Environments of images: what an image's name promises, made once and whole, whatever happens to who makes it."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from pathlib import Path

import pytest

from services.node.ports import PullFailed
from services.node.runtime.environments import Environments
from services.node.runtime.local import RuntimeConfig
from services.node.runtime.recipes import installed, recipe_of
from tests.node.runtime.conftest import LIGHT, bench_in
from tests.node.runtime.test_images import _wheel

IMAGE = "millstream/tools-of-mine"


@pytest.fixture
def recipes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of recipes with one image, whose package is a wheel of this machine."""
    _wheel(tmp_path / "wheels", "onlyhere", "1.5")
    monkeypatch.setenv("UV_FIND_LINKS", str(tmp_path / "wheels"))
    monkeypatch.setenv("UV_OFFLINE", "1")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))
    _recipe(tmp_path / "recipes", "mine", f"numpy=={installed()['numpy']}", "onlyhere==1.5")
    return tmp_path / "recipes"


def _recipe(folder: Path, name: str, *pins: str) -> None:
    (folder / name).mkdir(parents=True)
    (folder / name / "stands_for").write_text("millstream/tools-of-mine\n*/tools-of-mine\n")
    (folder / name / "requirements.txt").write_text("".join(f"{pin}\n" for pin in pins))


def test_a_name_promises_the_same_with_and_without_registry_and_tag(recipes: Path) -> None:
    for name in (IMAGE, f"{IMAGE}:3", "docker.io/anybody/tools-of-mine:1", f"{IMAGE}@sha256:00"):
        found = recipe_of(name, recipes)
        assert found and found.install == ("onlyhere==1.5",), name
    assert recipe_of("python:3.11", recipes) is None


def test_another_version_of_what_the_platform_has_makes_an_environment_that_stands_alone(recipes: Path) -> None:
    (recipes / "mine" / "requirements.txt").write_text("numpy==1.0\nonlyhere==1.5\n")
    found = recipe_of(IMAGE, recipes)
    assert found and not found.layered and found.install == ("numpy==1.0", "onlyhere==1.5")


async def test_however_many_ask_it_is_made_once(recipes: Path, tmp_path: Path) -> None:
    recipe = recipe_of(IMAGE, recipes)
    assert recipe
    makers = [Environments(tmp_path / "made") for _ in range(4)]
    assert makers[0].find(recipe) is None
    paths = await asyncio.gather(*(maker.make(recipe) for maker in makers))
    times = {path.stat().st_ctime_ns for path in paths}
    assert len(set(paths)) == len(times) == 1
    assert makers[0].find(recipe) == paths[0]
    assert not list((tmp_path / "made").glob(".*.building"))


async def test_who_was_killed_half_way_leaves_nothing_that_is_used(recipes: Path, tmp_path: Path) -> None:
    """The orphan that goes on installing is waited for: it holds the lock that it inherited."""
    recipe = recipe_of(IMAGE, recipes)
    assert recipe
    folder = tmp_path / "made"
    half, lock = folder / f".{recipe.key}.building" / "site", folder / f".{recipe.key}.lock"
    half.mkdir(parents=True)
    code = "import fcntl, os, subprocess, sys, time; f = open(sys.argv[1], 'w'); fcntl.flock(f, fcntl.LOCK_EX);"
    code += "subprocess.Popen(['sleep', '1'], pass_fds=(f.fileno(),)); open(sys.argv[2], 'w'); time.sleep(60)"
    killed = subprocess.Popen([sys.executable, "-c", code, str(lock), str(half / "half")])  # noqa: ASYNC220 - no I/O
    while not (half / "half").exists():  # noqa: ASYNC110 - a file tells nobody
        await asyncio.sleep(0.01)
    began = time.monotonic()
    killed.kill()
    killed.wait()
    path = await Environments(folder).make(recipe)
    assert time.monotonic() - began > 0.5
    assert (path / "site" / "onlyhere.py").exists() and not (path / "site" / "half").exists()


async def test_what_cannot_be_installed_is_told_in_the_installers_last_words(recipes: Path, tmp_path: Path) -> None:
    _recipe(tmp_path / "more", "mine", "no-such-package-here==7.0")
    recipe = recipe_of(IMAGE, tmp_path / "more")
    assert recipe
    with pytest.raises(PullFailed, match=r"(?s)image 'mine'.*no-such-package-here"):
        await Environments(tmp_path / "made").make(recipe)
    assert Environments(tmp_path / "made").find(recipe) is None


@pytest.mark.parametrize("mode", [None, "rewrite"], ids=["namespaces", "rewrite"])
async def test_a_pod_finds_packages_and_programs_of_its_image_and_the_platforms(
    recipes: Path, tmp_path: Path, mode: str | None
) -> None:
    config = RuntimeConfig(warm_platform=False, ml="off", preload=LIGHT, mode=mode, recipes=recipes)
    async with bench_in(tmp_path / "home", config) as bench:
        assert "1 packages" in str(bench.runtime.lacks(IMAGE))
        await bench.runtime.pull(IMAGE)
        assert bench.runtime.lacks(IMAGE) is None
        script = "onlyhere-run && python -c 'import onlyhere, numpy, sys; print(onlyhere.VERSION, sys.prefix)'"
        spec = await bench.start("sh", "-ec", script, image=IMAGE)
        ended = await bench.end(spec)
        own = bench.runtime.pod_path(spec.pod_uid) / "env"
        assert ended.exit_code == 0, bench.log(spec)
        assert bench.log(spec, "stdout").splitlines() == ["script 1.5", f"1.5 {own}"]
        _, text = await bench.run("python", "-c", "import onlyhere", image="python:3.11")
        assert "ModuleNotFoundError" in text


def test_the_shipped_recipes_fit_the_platform() -> None:
    """Where a pin differs from the platform's, hundreds of megabytes would be installed a second time."""
    for name in ("jax", "tensorflow", "xgboost", "mpi", "deepspeed", "paddle"):
        recipe = recipe_of(f"millstream/{name}")
        assert recipe and recipe.layered, name
        assert recipe.pins
