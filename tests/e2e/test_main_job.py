"""The main job from one command, from a NATS-only program and from kubectl's manifest; what it shows is computed."""

from __future__ import annotations

import re

import httpx
import pytest
from millstream import Client
from millstream.dev.monitoring.catalogue import names

from tests.deploy.test_monitoring import expressions, metrics_in
from tests.platform import Platform

SERVICES = {"gateway", "pipelines", "registry", "scheduler", "serving", "trainer"}


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


def test_monitoring_asks_only_for_what_the_running_services_expose(platform: Platform) -> None:
    """After the demo has made them work; the names in docs/metrics.md, rules and boards against the real pages."""
    exposed = set()
    with Client.from_home(platform.home) as client:
        for pod in client.list("pods", namespace=None):
            labels = pod["metadata"].get("labels", {})
            if labels.get("app.kubernetes.io/name") in SERVICES or labels.get("component") == "predictor":
                page = httpx.get(f"http://{pod['status']['podIP']}:8080/metrics", trust_env=False).text
                exposed |= set(re.findall(r"^(\w+?)(?:_bucket|_count|_sum)?(?:\{.*)? \S+$", page, re.MULTILINE))
    asked = {metric for expr in expressions().values() for metric in metrics_in(expr)}
    plain = {re.sub(r"_(bucket|count|sum)$", "", metric) for metric in asked if metric.startswith("millstream_")}
    assert plain - exposed <= {"millstream_tls_certificate_expiry_timestamp_seconds"}, "which a laptop has no use for"
    ours = {metric for metric in exposed if metric.startswith("millstream_")}
    assert ours <= set(names()), "docs/metrics.md tells of all"
