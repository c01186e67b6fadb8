"""`kubectl rollout restart` of every service in turn under load: no request fails, no change is missed."""

from __future__ import annotations

import time
from urllib.parse import urlsplit

from tests.clients.models import store_iris
from tests.cluster_suite.options import SYSTEM
from tests.cluster_suite.world import World
from tests.e2e import flow
from tests.e2e.load import RUNTIMES, SERVICES, Changes, Jobs, Load, Predictions, Registrations, Watch, runtime, service

PLATFORM = "app.kubernetes.io/part-of=millstream"
MODEL = "suite-rolling"


class Dropped(Exception):
    """Requests or changes were lost; the message quotes them."""


def rolling(world: World) -> str:
    """Raises Dropped."""
    assert world.ways is not None
    reach, door = world.ways.reach, world.door
    replaced = ordered(world)
    prefix = f"{MODEL}-{int(time.time()):x}"
    with world.client() as client:
        iris = store_iris(reach, "tests/suite/rolling")  # type: ignore[arg-type]
        changes = [Changes(door, SERVICES, service(prefix, iris.uri)), Changes(door, RUNTIMES, runtime(prefix))]
        for each in changes:
            each.create()
        url = client.wait("inferenceservices", prefix, "Ready", door.namespace, 300)["status"]["url"]
        path = urlsplit(url).path.rstrip("/") + f"/v1/models/{prefix}:predict"
        jobs = Jobs(door, prefix)
        loads = [jobs, Registrations(door, prefix), *changes, Predictions(door, path, iris.rows, iris.expected)]
        watches = [Watch(each) for each in changes]
        for thread in (*watches, *loads):
            thread.start()
        excused = [_replace(world, name, [*loads, *watches]) for name in replaced]
        missed = _settle(loads, watches)
        ended = flow.wait_all_over(client, list(jobs.uids), 300, door.namespace)
        client.delete("inferenceservices", prefix, door.namespace)
    sent = sum(load.sent for load in loads)
    world.report.figure("rolling restarts: requests sent", sent)
    wrong = [line for thread in (*loads, *watches) for line in thread.wrong] + missed
    wrong += [f"job {name} is {ended[name]}" for name in jobs.uids if ended[name] != "Complete"]
    if wrong:
        raise Dropped("\n".join([f"{len(wrong)} of {sent} requests went wrong:", *wrong[:12]]))
    words = f"{', '.join(replaced)} replaced under {sent} requests, none lost"
    return words + (
        f"\n{sum(excused)} broke with the port-forward while the gateway was replaced; not counted" * any(excused)
    )


def ordered(world: World) -> list[str]:
    """The platform's Deployments, the gateway last."""
    found = [d["metadata"]["name"] for d in world.kubectl.items("deployments.apps", "-n", SYSTEM, "-l", PLATFORM)]
    return sorted(found, key=lambda name: (name == "gateway", name))


def _replace(world: World, name: str, threads: list[Load | Watch]) -> int:
    """Waits for the new pods; answers how many failures were the port-forward's, which ends with its pod."""
    assert world.ways is not None
    before = [len(thread.wrong) for thread in threads]
    world.kubectl.run("rollout", "restart", f"deployment/{name}", "-n", SYSTEM)
    world.kubectl.run("rollout", "status", f"deployment/{name}", "-n", SYSTEM, "--timeout=300s", timeout_s=310)
    time.sleep(3)
    world.tell(f"{name} is replaced")
    if not (world.ways.reach.forwarded and name == "gateway"):
        return 0
    world.ways.renew()
    time.sleep(3)
    excused = 0
    for thread, count in zip(threads, before, strict=True):
        excused += len(thread.wrong) - count
        del thread.wrong[count:]
    return excused


def _settle(loads: list[Load], watches: list[Watch]) -> list[str]:
    """Ends all of it; what the watches have not seen, in words. A write that the port-forward lost was not made."""
    for load in loads:
        load.done.set()
    for load in loads:
        load.join(timeout=60)
    missed = []
    for watch in watches:
        made = watch.changes.written
        end = time.monotonic() + 30
        while time.monotonic() < end and (not watch.seen or watch.seen[-1] != made[-1]):
            time.sleep(0.2)
        watch.done.set()
        if lost := sorted(set(made) - set(watch.seen)):
            missed.append(f"the watch of {watch.changes.name} has not seen {lost[:10]}")
        if watch.seen != sorted(set(watch.seen)):
            missed.append(f"the watch of {watch.changes.name} was told something twice or out of order")
    return missed
