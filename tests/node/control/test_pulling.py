"""A pod whose image stands for packages waits for them, and tells while it waits."""

from pathlib import Path

import pytest

from tests.node.control.conftest import phase, pod


@pytest.fixture
def recipes(tmp_path: Path, desk) -> Path:
    """A folder of recipes that the node looks into, with nothing in it yet."""
    desk.runtime.paths.recipes = tmp_path / "recipes"
    return desk.runtime.paths.recipes


def _put(folder: Path, pin: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "stands_for").write_text("*/mine\n")
    (folder / "requirements.txt").write_text(f"{pin}\n")


def _waits(reason: str):
    def right(found):
        told = ((found or {}).get("status") or {}).get("containerStatuses") or [{}]
        return told[0].get("state", {}).get("waiting", {}).get("reason") == reason

    return right


async def test_packages_that_cannot_be_had_are_told_and_tried_for_again(desk, recipes, monkeypatch):
    monkeypatch.setenv("UV_OFFLINE", "1")
    _put(recipes / "mine", "no-such-package-here==7.0")
    await desk.make(pod("p", "echo ran", image="my.registry/mine"))
    held = await desk.until("Pod", "p", _waits("ErrImagePull"))
    assert held["status"]["phase"] == "Pending"
    assert "no-such-package-here" in held["status"]["containerStatuses"][0]["state"]["waiting"]["message"]
    assert {"Pulling", "ErrImagePull"} <= {e["reason"] for e in await desk.all("Event")}
    (recipes / "mine" / "requirements.txt").write_text("")
    assert desk.log(await desk.until("Pod", "p", phase("Succeeded"))) == "ran"
    assert "Pulled" in {e["reason"] for e in await desk.all("Event")}
