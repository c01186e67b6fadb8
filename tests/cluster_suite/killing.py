"""Pods of every service and engine are deleted without grace while jobs flow: each job ends exactly once."""

from __future__ import annotations

import threading
import time

from tests.cluster_suite.options import SYSTEM
from tests.cluster_suite.waiting import explain, until_ready
from tests.cluster_suite.world import World
from tests.e2e import flow

MODEL = "suite-kill"


class Lost(Exception):
    """A job, or what it should have left, is missing or there twice."""


def kill(world: World) -> str:
    """Raises Lost, naming what is wrong."""
    names = [f"{MODEL}-{time.time_ns() % 10**6:06d}-{number:02d}" for number in range(world.options.jobs)]
    model = names[0].rpartition("-")[0]
    victims = parts(world)
    killer = threading.Thread(target=_kill_all, args=(world, victims), daemon=True)
    began = time.monotonic()
    killer.start()
    with world.client() as client:
        manifests = [flow.small_job(name, model, namespace=world.options.namespace) for name in names]
        uids = []
        for manifest in manifests:
            uids.append(flow.insist(client, manifest, timeout_s=180))
            time.sleep(0.2)
        killer.join()
        assert world.ways is not None
        world.ways.renew()
        until_ready(world.kubectl, SYSTEM, world.options.wait_s, world.tell)
        ended = _ended(world, client, names)
        recorded = _recorded(client, model, len(names))
    world.report.figure(f"kill test: {len(names)} jobs over {len(victims)} killed parts (s)", time.monotonic() - began)
    _account(names, uids, ended, recorded)
    return f"{len(names)} jobs ended once each while {', '.join(victims)} were killed"


def parts(world: World) -> list[str]:
    """Every Deployment and StatefulSet of the platform: services and engines."""
    workloads = world.kubectl.items("deployments.apps,statefulsets.apps", "-n", SYSTEM)
    return sorted({workload["metadata"]["name"] for workload in workloads})


def _kill_all(world: World, victims: list[str]) -> None:
    for name in victims:
        time.sleep(1.0)
        flags = ("--grace-period=0", "--force", "--wait=false")
        selector = f"app.kubernetes.io/name={name}"
        worked, said = world.kubectl.tried("delete", "pods", "-n", SYSTEM, "-l", selector, *flags)
        if world.ways is not None and name in ("gateway", "s3"):
            world.ways.begin_anew()
        world.tell(f"killed {name}" if worked else f"could not kill {name}: {said.strip()[-160:]}")


def _ended(world: World, client, names: list[str]) -> dict[str, str]:  # type: ignore[no-untyped-def]
    try:
        return flow.wait_all_over(client, names, 120 + 20 * len(names), world.options.namespace)
    except AssertionError as error:
        raise Lost("\n".join([str(error), *explain(world.kubectl, world.options.namespace)])) from error


def _recorded(client, model: str, count: int) -> list[str]:  # type: ignore[no-untyped-def]
    end, found = time.monotonic() + 120, []
    while time.monotonic() < end:
        found = [str(version["name"]) for version in flow.insist_versions(client, model)]
        if len(found) >= count:
            break
        time.sleep(0.5)
    return found


def _account(names: list[str], uids: list[str], ended: dict[str, str], recorded: list[str]) -> None:
    failed = {name: ended[name] for name in names if ended[name] != "Complete"}
    if failed:
        raise Lost(f"not every job completed: {failed}")
    if len(set(uids)) != len(names):
        raise Lost("a repeated apply made a second object")
    if len(recorded) != len(names) or len(set(recorded)) != len(names):
        raise Lost(f"{len(names)} jobs left {len(recorded)} versions: {sorted(recorded)}")
