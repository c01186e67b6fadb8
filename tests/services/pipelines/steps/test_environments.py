"""Packages that a step asks for: installed by pip once, then found, also on another machine."""

import os
import zipfile
from pathlib import Path

from services.node.runtime import images
from services.node.runtime.paths import HomePaths
from services.pipelines.domain.engine.words import Failed
from services.pipelines.domain.steps.values import StepOrder
from tests.services.pipelines.steps.places import Bench, ordered

SCRIPT = """
if ! [ -x "$(command -v pip)" ]; then
    python3 -m ensurepip || python3 -m ensurepip --user || apt-get install python3-pip
fi

PIP_DISABLE_PIP_VERSION_CHECK=1 python3 -m pip install --quiet --no-warn-script-location --no-index {} && "$0" "$@"
"""


def asking(*requirements: str) -> StepOrder:
    words = " ".join(f"'{requirement}'" for requirement in requirements)
    program = "import tiny, sys; print('tiny', tiny.VERSION, tiny.__file__)"
    return ordered(["sh", "-c", SCRIPT.format(words), "python3", "-c", program])


def wheel(folder: Path, version: str) -> str:
    """The options by which pip finds a package of ours in a folder."""
    folder.mkdir(exist_ok=True)
    info = f"tiny-{version}.dist-info"
    with zipfile.ZipFile(folder / f"tiny-{version}-py3-none-any.whl", "w") as packed:
        packed.writestr("tiny.py", f"VERSION = {version!r}\n")
        packed.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: tiny\nVersion: {version}\n")
        packed.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        packed.writestr(f"{info}/RECORD", "")
    return f"--find-links={folder}"


async def test_pip_runs_once_for_the_same_packages_and_another_machine_fetches_what_it_made(place: Bench) -> None:
    order = asking(wheel(place.folder / "index", "1.0"), "tiny==1.0")
    here, there = str(place.folder / "here"), str(place.folder / "there")
    first = await place.run(order, MILLSTREAM_STEP_CACHE=here)
    assert "tiny 1.0" in first.output and first.code == 0, first.output
    (place.folder / "index" / "tiny-1.0-py3-none-any.whl").unlink()  # pip could not make it a second time
    again = await place.run(order, MILLSTREAM_STEP_CACHE=here)
    elsewhere = await place.run(order, MILLSTREAM_STEP_CACHE=there)
    assert (again.code, elsewhere.code) == (0, 0), again.output + elsewhere.output
    assert here in again.output and there in elsewhere.output


async def test_where_the_node_laid_folders_for_the_pod_an_environment_takes_no_others(place: Bench) -> None:
    paths = HomePaths(place.folder / "home")
    paths.make()
    layer = images.for_pod(paths, "some-pod", "python:3.11")
    order = asking(wheel(place.folder / "index", "1.0"), "tiny==1.0", "--quiet")
    pod = {"PATH": f"{layer.prefix}/bin:{os.environ['PATH']}", "MILLSTREAM_POD_UID": "some-pod"}
    for _ in range(2):
        ended = await place.run(order, MILLSTREAM_STEP_CACHE=str(place.folder / "cache"), **pod)
        assert (ended.code, ended.output.split()[:2]) == (0, ["tiny", "1.0"]), ended.output
    assert list(place.folder.glob("pod-*/.millstream/env")) == []


async def test_what_pip_cannot_install_fails_the_step_with_its_words_and_leaves_nothing(place: Bench) -> None:
    cache = place.folder / "cache"
    ended = await place.run(asking(wheel(place.folder / "index", "1.0"), "tiny==9.9"), MILLSTREAM_STEP_CACHE=str(cache))
    assert isinstance(ended.outcome, Failed)
    assert "No matching distribution found for tiny==9.9" in ended.outcome.error.message
    assert [path for path in cache.iterdir() if path.is_dir()] == []


async def test_what_the_image_has_already_is_not_installed(place: Bench) -> None:
    order = ordered(["sh", "-c", SCRIPT.format("'pytest' 'no-such-package; python_version<\"3.9\"'"), "echo", "ran"])
    ended = await place.run(order, MILLSTREAM_STEP_CACHE=str(place.folder / "cache"))
    assert ended.output == "ran\n"
    assert not (place.folder / "cache").exists()


async def test_who_makes_an_environment_clears_away_those_that_nobody_uses_any_more(place: Bench) -> None:
    cache, index = place.folder / "cache", wheel(place.folder / "index", "1.0")
    wheel(place.folder / "index", "2.0")
    for version in ("1.0", "2.0"):
        assert (await place.run(asking(index, f"tiny=={version}"), MILLSTREAM_STEP_CACHE=str(cache))).code == 0
    made = {path for path in cache.iterdir() if path.is_dir()}
    (half := cache / ".half.made").mkdir()
    for path in (*made, half):
        os.utime(path, (0, 0))
    order = asking(index, "tiny==1.0")
    again = await place.run(order, MILLSTREAM_STEP_CACHE=str(cache))
    assert "tiny 1.0" in again.output
    wheel(place.folder / "index", "3.0")
    third = await place.run(asking(index, "tiny==3.0"), MILLSTREAM_STEP_CACHE=str(cache))
    assert "tiny 3.0" in third.output
    left = {path for path in cache.iterdir() if path.is_dir()}
    assert (len(left), len(left & made)) == (2, 1), "the one that was used, and the new one"
