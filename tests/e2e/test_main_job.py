"""The main job from one command, from a NATS-only program and from kubectl's manifest; what it shows is computed."""

from __future__ import annotations

import re

import pytest

from tests.platform import Platform


@pytest.mark.timeout(300)
def test_the_demo_trains_registers_serves_and_predicts_twice_over(platform: Platform) -> None:
    for _ in range(2):  # safe to run again
        told = platform.run("demo", timeout_s=200)
        accuracy = float(re.search(r"accuracy ([0-9.]+)", told)[1])  # type: ignore[index]
        assert accuracy >= 0.95, told
        for event in ("training.trainjob.created.v1", "scheduling.workload.admitted.v1",
                      "training.trainjob.succeeded.v1", "registry.modelversion.created.v1",
                      "serving.inferenceservice.ready.v1"):  # fmt: skip
            assert event in told, told


def test_up_with_other_ports_leaves_a_running_home_as_it_is(platform: Platform) -> None:
    told = platform.run("up", "--detach", "--http", "9", check=False)
    assert "to change its ports, `millstream down` first" in told
    assert platform.http in platform.run("status")
