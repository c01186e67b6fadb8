"""A Workload's user sets it aside or deletes it; whose it is, and that its pods may still be there, is not theirs."""

from typing import Any

import pytest

from tests.services.scheduler.rig import Rig, submit


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"finalizers": None}, "metadata.finalizers"),
        ({"ownerReferences": None}, "metadata.ownerReferences"),
        (
            {"ownerReferences": [{"apiVersion": "v1", "kind": "TrainJob", "name": "b", "uid": "uid-of-another"}]},
            "metadata.ownerReferences",
        ),
    ],
    ids=["its lock", "nobody's", "another's"],
)
async def test_what_binds_it_to_its_owner_is_the_schedulers(rig: Rig, change: dict[str, Any], field: str) -> None:
    await rig.say(submit("a"))
    await rig.hear("a")
    name = (await rig.workload("a"))["metadata"]["name"]
    answer = await rig.patch(f"namespaces/team/workloads/{name}", {"metadata": change})
    assert answer.status_code == 422 and field in answer.json()["message"], answer.text
    answer = await rig.patch(f"namespaces/team/workloads/{name}", {"metadata": {"labels": {"seen": "true"}}})
    assert answer.status_code == 200, answer.text
