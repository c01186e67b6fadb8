"""What nobody means, and somebody sends: amounts beyond every machine keep no other workload waiting."""

import pytest
from pydantic import ValidationError

from contracts.commands.scheduling.v1 import PodSet
from contracts.events.scheduling.v1 import WorkloadAdmitted, WorkloadQueued
from contracts.kinds.quantity import MOST, amount
from tests.services.scheduler.rig import Rig, finish, submit


@pytest.mark.parametrize("odd", ["-1", "lots", "1" + "0" * 400, "1e30", "1\n", "\u0661", "10E"])
def test_what_is_no_amount_of_anything_cannot_be_asked_for(odd: str):
    with pytest.raises(ValidationError):
        PodSet(name="node", count=1, requests={"cpu": odd})


def test_the_greatest_amount_is_that_of_kubernetes():
    assert amount(str(MOST)) == MOST
    with pytest.raises(ValueError, match=f"write at most {MOST}"):
        amount(MOST + 1)


async def test_who_asks_for_more_than_there_can_be_waits_alone(rig: Rig):
    await rig.say(submit("greedy", cpu=str(MOST), nodes=1000))
    assert isinstance(await rig.hear("greedy"), WorkloadQueued)
    await rig.say(submit("modest"))
    assert isinstance(await rig.hears("modest", WorkloadAdmitted), WorkloadAdmitted)
    await rig.say(finish("greedy"))
