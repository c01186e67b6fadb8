"""The job that restores on a cluster: the pod of the nightly backup the other way round, started by a person alone."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from millstream.laptop import ROOT

FOLDER = ROOT / "deploy" / "components" / "backup"


def job(name: str) -> dict[str, Any]:
    return dict(yaml.safe_load((FOLDER / f"{name}.yaml").read_text())["spec"])


def container(name: str) -> dict[str, Any]:
    [found] = job(name)["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    return dict(found)


def test_it_is_the_pod_of_the_backup_with_another_order() -> None:
    assert job("restore")["suspend"] is True
    backup, restore = container("cronjob"), container("restore")
    assert backup.pop("args") != restore.pop("args")
    assert backup == restore


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ({}, "restore {}/20261123T000000Z.tar.gz --scratch /backup --store "),
        ({"ARCHIVE": "x.tar.gz", "FORCE": "1"}, "restore {}/x.tar.gz --scratch /backup --force --store "),
    ],
    ids=["the newest archive", "the one that is named, over what is there"],
)
def test_it_restores(told: dict[str, str], words: str, tmp_path: Path) -> None:
    folder, programs = tmp_path / "backup", tmp_path / "bin"
    folder.mkdir()
    programs.mkdir()
    for name in ("20261123T000000Z.tar.gz", "20261122T000000Z.tar.gz", "20261124T000000Z.tar.gz.part", "lost+found"):
        (folder / name).touch()
    (programs / "python").write_text('#!/bin/sh\necho "$@"\n')
    (programs / "python").chmod(0o755)
    script = (
        container("restore")["args"][0].replace('"/backup/', f'"{folder}/').replace("ls -1 /backup", f"ls -1 {folder}")
    )
    env = {"PATH": f"{programs}:/usr/bin:/bin", "OUTER_REGISTRY": "outer", "INNER_SCHEDULER": "inner", **told}
    done = subprocess.run(["sh", "-ec", script], env=env, capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout.startswith(f"-m millstream.cli {words.format(folder)}")
    assert "--store registry=outer --store scheduler=inner " in done.stdout
