"""What is generated follows from the manifests: a change on either side alone is refused, and told where it is."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from millstream.dev.deploy.__main__ import main
from millstream.dev.deploy.tree import drift, read

from tests.deploy.builds import ROOT


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The manifests and what was generated from them."""
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    shutil.copytree(ROOT / "deploy", tmp_path / "deploy")
    for manifest in (ROOT / "services").glob("*/service.yaml"):
        (tmp_path / "services" / manifest.parent.name).mkdir(parents=True)
        shutil.copy(manifest, tmp_path / "services" / manifest.parent.name)
    return tmp_path


def edit(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))


def test_this_checkout_has_not_drifted() -> None:
    assert drift(ROOT) == []


def test_everything_in_base_is_generated() -> None:
    generated = {made.path for made in read(ROOT)}
    kept = {str(path.relative_to(ROOT)) for path in (ROOT / "deploy/base").rglob("*") if path.is_file()}
    assert kept <= generated


@pytest.mark.parametrize(
    ("service", "old", "new", "told"),
    [
        ("scheduler", "needs: [store, bus, cluster]", "needs: [store, cluster]", {"networkpolicy"}),
        ("registry", "needs: [store, bus]", "needs: [bus]", {"deployment", "networkpolicy", "service"}),
        ("registry", "port: 8080", "port: 8181", {"deployment", "service"}),
        ("gateway", "needs: []", "needs: [blobs]", {"networkpolicy"}),
    ],
)
def test_a_manifest_that_moved_on_alone_is_refused(
    service: str, old: str, new: str, told: set[str], copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    edit(copy / f"services/{service}/service.yaml", old, new)
    assert main(["--check"], copy) == 1
    lines = capsys.readouterr().out
    for part in told:
        wanted = f"deploy/base/{service}/{part}.yaml is not what services/{service}/service.yaml says"
        assert wanted in lines


def test_a_generated_file_that_was_edited_by_hand_is_refused(copy: Path) -> None:
    edit(copy / "deploy/base/trainer/deployment.yaml", "memory: 512Mi", "memory: 64Gi")
    assert drift(copy) == ["deploy/base/trainer/deployment.yaml is not what services/trainer/service.yaml says"]


def test_a_file_that_is_gone_and_a_folder_that_nobody_asks_for_are_told(copy: Path) -> None:
    (copy / "deploy/base/trainer/service.yaml").unlink()
    (copy / "deploy/base/ghost").mkdir()
    assert drift(copy) == [
        "deploy/base/trainer/service.yaml is missing; services/trainer/service.yaml asks for it",
        "deploy/base/ghost is there, but no services/ghost/service.yaml",
    ]


def test_what_a_service_creates_reaches_its_role(copy: Path) -> None:
    edit(copy / "services/serving/service.yaml", "reads: [events/v1", "reads: [nodes/v1, events/v1")
    assert drift(copy) == ["deploy/components/roles/roles.yaml is not what services/*/service.yaml says"]


def test_golden_mends_it(copy: Path) -> None:
    edit(copy / "services/scheduler/service.yaml", "needs: [store, bus, cluster]", "needs: [store, cluster]")
    assert main([], copy) == 0
    assert main(["--check"], copy) == 0
