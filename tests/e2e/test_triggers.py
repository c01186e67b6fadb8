"""Triggers with kubectl on a whole platform: by the clock, and by an event of a system that the platform knows not."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

import yaml
from millstream.client import Client

from tests.e2e import broker
from tests.platform import Platform, run, until

KUBECTL = Path(sys.executable).parent / "kubectl"
SUBJECT = "millstream.shop.order.paid.v1.default"


def trigger(name: str, command: str, **spec: Any) -> str:
    trainer = {"numNodes": 1, "command": ["python", "-c", command]}
    template = {
        "apiVersion": "trainer.kubeflow.org/v1alpha1",
        "kind": "TrainJob",
        "spec": {"runtimeRef": {"name": "python"}, "trainer": trainer},
    }
    head = {"apiVersion": "millstream.dev/v1alpha1", "kind": "Trigger", "metadata": {"name": name}}
    return yaml.safe_dump({**head, "spec": {**spec, "template": template}})


def kubectl(platform: Platform, *arguments: str, stdin: str = "", check: bool = True) -> str:
    return run([str(KUBECTL), *arguments], {**os.environ, **platform.env}, check=check, stdin=stdin)


def fired(platform: Platform, name: str, part: str) -> list[str]:
    """Names of the jobs in a list of its status."""
    status = json.loads(kubectl(platform, "get", "trigger", name, "-o", "json")).get("status") or {}
    return [each["name"] for each in status.get(part) or []]


async def pay(platform: Platform, id: str, **data: Any) -> None:
    letter = {"specversion": "1.0", "id": id, "source": "shop", "type": "shop.order.paid.v1", "namespace": "default"}
    body = json.dumps({**letter, "data": data}).encode()
    async with broker.connected(platform) as connection:
        headers = {"content-type": "application/cloudevents+json"}
        await connection.jetstream().publish(SUBJECT, body, headers=headers)


def test_a_clock_and_a_strangers_event_start_jobs_whose_end_the_trigger_learns(platform: Platform) -> None:
    kubectl(platform, "apply", "-f", "-", stdin=trigger("clock", "print(1)", schedule={"cron": "*/2 * * * * *"}))
    source = {"type": "shop.order.paid.v1", "filter": {"tier": ["gold"]}}
    kubectl(platform, "apply", "-f", "-", stdin=trigger("order", "print('order ${event.data.order}')", event=source))
    until(lambda: fired(platform, "clock", "succeeded"), 60, "a job by the clock has ended well")
    listed = kubectl(platform, "get", "triggers")
    assert listed.split()[:4] == ["NAME", "WHEN", "MAKES", "SUSPEND"] and "shop.order.paid.v1" in listed
    for _ in range(3):
        asyncio.run(pay(platform, "one", tier="gold", order=7))
    asyncio.run(pay(platform, "two", tier="silver", order=8))
    until(lambda: fired(platform, "order", "succeeded"), 60, "the order's job has ended well")
    [name] = fired(platform, "order", "succeeded")
    assert "order 7" in kubectl(platform, "logs", "-l", f"jobset.sigs.k8s.io/jobset-name={name}")
    jobs = [job["metadata"]["name"] for job in Client.from_home(platform.home).list("trainjobs", "default")]
    assert [each for each in jobs if each.startswith("order-")] == [name]


def test_what_cannot_work_is_refused_and_what_does_not_fit_is_a_dead_letter(platform: Platform) -> None:
    wrong = trigger("wrong", "print(1)", schedule={"cron": "61 * * * *"})
    told = kubectl(platform, "apply", "-f", "-", stdin=wrong, check=False)
    assert "spec.schedule.cron: '61 * * * *' is no cron expression" in told
    asyncio.run(pay(platform, "three", tier="gold"))
    until(
        lambda: "invalid: trigger default/order:" in platform.run("events", "dead-letters", "list"),
        30,
        "the firing without an order is a dead letter",
    )
