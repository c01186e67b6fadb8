"""The runtime under an account without privilege: the suite runs again as nobody (root is needed to become nobody)."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.node.runtime import linux

REPOSITORY = Path(__file__).resolve().parents[3]
AGAIN = {
    "containers": ("test_containers.py",),
    "views": ("test_views.py",),
    "survival": (
        "test_survival.py::test_a_killed_node_is_started_again_and_adopts_what_runs",
        "test_survival.py::test_a_shutdown_ends_everything_also_without_a_spawner",
    ),
    "images": (
        "test_images.py::test_two_containers_reduce_over_gloo[namespaces]",
        "test_images.py::test_the_pods_programs_come_first_and_share_one_interpreter[namespaces]",
    ),
}


@pytest.fixture
def folder() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="millstream-nobody-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


def _become_nobody(folder: Path) -> None:
    """In the child: the interpreter may live below a folder that only root may enter, so it is shown anew."""
    nobody = pwd.getpwnam("nobody")
    linux.unshare(linux.CLONE_NEWNS)
    linux.mount("none", "/", None, linux.MS_REC | linux.MS_PRIVATE)
    for needed in {sys.base_prefix, sys.prefix, str(REPOSITORY)}:
        _open_way(Path(needed))
    os.chown(folder, nobody.pw_uid, nobody.pw_gid)
    os.setgroups([])
    os.setgid(nobody.pw_gid)
    os.setuid(nobody.pw_uid)


def _open_way(path: Path) -> None:
    closed = next((parent for parent in reversed(path.parents) if not parent.stat().st_mode & 0o001), None)
    if closed is None:
        return
    source = os.open(path, os.O_PATH)
    linux.mount("tmpfs", str(closed), "tmpfs", 0, "mode=755")
    path.mkdir(parents=True)
    linux.mount(f"/proc/self/fd/{source}", str(path), None, linux.MS_BIND | linux.MS_REC)
    os.close(source)


@pytest.mark.skipif(os.getuid() != 0, reason="the whole suite runs without privilege already")
@pytest.mark.timeout(110)
@pytest.mark.parametrize("names", AGAIN.values(), ids=list(AGAIN))
def test_everything_works_as_an_ordinary_user(folder: Path, names: tuple[str, ...]) -> None:
    tests = [str(Path(__file__).with_name(name)) for name in names]
    argv = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", f"--basetemp={folder}/t", *tests]
    done = subprocess.run(
        argv,
        cwd=REPOSITORY,
        env={"PATH": os.environ["PATH"], "HOME": str(folder), "PYTHONDONTWRITEBYTECODE": "1", "LANG": "C.UTF-8"},
        preexec_fn=lambda: _become_nobody(folder),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    assert "passed" in done.stdout
