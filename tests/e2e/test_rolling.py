"""Every service is replaced while all of them are in use: no request fails, no change and no letter is lost."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from millstream.client import Client

from tests.clients.models import store_iris
from tests.e2e import broker, flow
from tests.e2e.load import (
    RUNTIMES,
    SERVICES,
    Changes,
    Door,
    Jobs,
    Load,
    Predictions,
    Registrations,
    Watch,
    runtime,
    service,
)
from tests.platform import MILLSTREAM, Platform, run, until

REPLACED = ("gateway", "trainer", "scheduler", "registry", "serving")
STORED = ("trainer", "scheduler", "registry", "serving")
MODEL = "rolling"


@pytest.mark.timeout(300)
def test_every_service_is_replaced_under_load_without_a_lost_request_or_event(platform: Platform) -> None:
    door = Door(platform.http, platform.token)
    with Client.from_home(platform.home) as client:
        iris = store_iris(platform, "tests/rolling")
        changes = [Changes(door, SERVICES, service(MODEL, iris.uri)), Changes(door, RUNTIMES, runtime(MODEL))]
        for each in changes:
            each.create()
        url = client.wait("inferenceservices", MODEL, "Ready")["status"]["url"]
        path = url.removeprefix(platform.http) + f"/v1/models/{MODEL}:predict"
        jobs, registrations = Jobs(door, MODEL), Registrations(door, MODEL)
        watches = [Watch(each) for each in changes]
        loads = [jobs, registrations, *changes, Predictions(door, path, iris.rows, iris.expected)]
        for thread in (*watches, *loads):
            thread.start()
        for name in REPLACED:
            replace(platform, name)
        settle(loads, watches)
        wrong = [line for thread in (*loads, *watches) for line in thread.wrong]
        assert wrong == [], f"{len(wrong)} of {sum(load.sent for load in loads)} requests"
        for each in watches:
            assert each.seen == list(range(1, each.changes.sent + 1)), "a change was missed or told twice"
            assert each.watches > 1, "no watch was ended, so nothing was shown"
        accounts(platform, client, jobs, registrations)


def replace(platform: Platform, name: str) -> None:
    """`kubectl rollout restart`, until the old pod is gone."""
    kubectl(platform, "rollout", "restart", f"deployment/{name}")
    kubectl(platform, "rollout", "status", f"deployment/{name}", "--timeout=120s")
    until(lambda: len(pods(platform, name)) == 1, 120, f"the old pod of {name} is gone", every_s=0.3)


def kubectl(platform: Platform, *arguments: str) -> str:
    command = [str(MILLSTREAM.parent / "kubectl"), "-n", "millstream-system", *arguments]
    return run(command, {"KUBECONFIG": str(platform.home / "kubeconfig"), "HOME": str(platform.home)})


def pods(platform: Platform, name: str) -> list[str]:
    return kubectl(platform, "get", "pods", "-o", "name", "-l", f"app.kubernetes.io/name={name}").split()


def settle(loads: Sequence[Load], watches: Sequence[Watch]) -> None:
    """Ends the callers first; then the watches, once they have seen the last change."""
    for load in loads:
        load.done.set()
    for load in loads:
        load.join()
    for watch in watches:
        until(lambda: watch.seen and watch.seen[-1] == watch.changes.sent, 60, f"the last of {watch.changes.name}")  # noqa: B023
        watch.done.set()


def accounts(platform: Platform, client: Client, jobs: Jobs, registrations: Registrations) -> None:
    """Each job once and over, each version once, each model once, each letter in the stream."""
    ended = flow.wait_all_over(client, list(jobs.uids), 90)
    assert {ended[name] for name in jobs.uids} == {"Complete"}
    assert len([name for name in ended if name.startswith(f"{MODEL}-")]) == jobs.sent
    until(lambda: len(flow.insist_versions(client, MODEL)) >= jobs.sent, 60, f"{jobs.sent} versions")
    recorded = {version["name"] for version in flow.versions(client, MODEL)}
    assert recorded == {str(number) for number in range(1, jobs.sent + 1)}
    for name in registrations.names:
        client.request("GET", "/api/model_registry/v1/registered_model", params={"name": name})
    trainer = flow.change_log(platform, "trainer")
    for kind in ("created", "succeeded"):
        told = flow.counted(trainer, f"training.trainjob.{kind}.v1")
        assert {uid: told[uid] for uid in jobs.uids.values()} == dict.fromkeys(jobs.uids.values(), 1)
    for name in STORED:
        until(lambda: all(x.marked for x in flow.change_log(platform, name)), 30, f"{name}: every letter said")  # noqa: B023
    said = {letter.get("id") for letter in broker.letters(platform)}
    for name in STORED:
        owed = {letter.id for letter in flow.change_log(platform, name)}
        assert owed <= said, f"{len(owed - said)} letters of {name} are not in the stream"
    assert broker.dead(platform) == []
