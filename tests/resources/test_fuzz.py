"""Whatever JSON arrives, wherever: an answer below 500, and nothing that a list could not show afterwards."""

import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from libs.base import SeededIds, SystemClock
from libs.resources import Resources, routes
from libs.store import Store
from libs.testing.resources import GROUP, POD, TOYS, thing, widget

WIDGETS = f"/apis/{GROUP}/v1/namespaces/default/widgets"
PODS = "/api/v1/namespaces/default/pods"
KEYS = [
    "metadata", "name", "namespace", "labels", "annotations", "finalizers", "ownerReferences",
    "managedFields", "manager", "operation", "fieldsV1", "f:spec", 'k:{"name":"a"}', "k:nonsense", "v:1", ".",
    "spec", "status", "parts", "containers", "$patch", "$retainKeys", "$setElementOrder/containers",
    "$deleteFromPrimitiveList/finalizers", "uid", "resourceVersion", "generation", "deletionTimestamp", "op",
    "path", "value", "from", "conditions", "", "a.b/c", "size", "replicas",
]  # fmt: skip
LEAVES = [
    None, True, False, 0, 1, -1, 1.0, 1e300, 2**63, "", "a", "A_", "add", "remove", "move", "copy", "test",
    "/spec/size", "/-", "/metadata/labels/x", "delete", "replace", "Apply", "x" * 300, "\x00", "é", [], {},
]  # fmt: skip
CONTENT = ["merge-patch+json", "json-patch+json", "strategic-merge-patch+json", "apply-patch+yaml", "json", "yaml"]


def noise(dice: random.Random, depth: int = 0) -> Any:
    if depth > 4 or dice.random() < 0.4:
        return dice.choice(LEAVES)
    if dice.random() < 0.4:
        return [noise(dice, depth + 1) for _ in range(dice.randrange(4))]
    return {dice.choice(KEYS): noise(dice, depth + 1) for _ in range(dice.randrange(5))}


def spoilt(dice: random.Random, value: Any) -> Any:
    """A sound object with one spot replaced by noise."""
    if not isinstance(value, (dict, list)) or not value or dice.random() < 0.3:
        return noise(dice)
    if isinstance(value, list):
        at = dice.randrange(len(value))
        return [spoilt(dice, v) if i == at else v for i, v in enumerate(value)]
    key = dice.choice([*value, *KEYS])
    return {**value, key: spoilt(dice, value.get(key))}


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    ids = SeededIds(1)
    store = await Store.open(f"sqlite:///{tmp_path}/store.db", clock=SystemClock(), ids=ids)
    resources = Resources(store, TOYS, clock=SystemClock(), ids=ids, source="millstream/toys")
    transport = httpx.ASGITransport(app=routes(resources))
    async with httpx.AsyncClient(transport=transport, base_url="http://toys") as http:
        yield http
    await store.close()


@pytest.mark.parametrize("seed", range(3))
async def test_no_body_and_no_patch_is_answered_with_a_server_error(client: httpx.AsyncClient, seed: int) -> None:
    dice = random.Random(seed)
    containers = [{"name": "a", "image": "x", "env": [{"name": "K", "value": "1"}]}]
    samples = {WIDGETS: widget("w", parts=[{"name": "p"}]), PODS: thing(POD, "w", spec={"containers": containers})}
    for turn in range(100):
        url, sample = dice.choice(list(samples.items()))
        body = spoilt(dice, sample)
        kind = f"application/{dice.choice(CONTENT)}"
        query = f"?fieldManager={dice.choice('ab')}&force={dice.choice(['true', 'false'])}"
        target = url + dice.choice(["/w", "/w/status", "/w/scale"])
        calls = {"POST": url, "PUT": target, "PATCH": target, "DELETE": url + "/w"}
        method = dice.choice(["POST", "PUT", "PATCH", "PATCH", "PATCH", "DELETE" if turn % 20 == 0 else "PATCH"])
        if method == "PATCH" and kind.endswith("json-patch+json"):
            body = [noise(dice) for _ in range(3)]
        answer = await client.request(
            method, calls[method] + query, content=_text(body), headers={"content-type": kind}
        )
        assert answer.status_code < 500, (seed, turn, method, calls[method], kind, body, answer.text)
        table = {"accept": "application/json;as=Table;v=v1;g=meta.k8s.io"}
        assert (await client.get(url, headers=table)).status_code == 200, (seed, turn, body)
        await client.post(url, json=sample)


async def test_ownership_records_that_make_no_sense_do_no_harm(client: httpx.AsyncClient) -> None:
    await client.post(WIDGETS, json=widget("w"))
    odd = {
        "f:spec": {"k:nonsense": {}, "v:": {}, "k:[1]": {}, "x": {}, "f:size": 3, "f:parts": {'k:{"name":1}': {}}},
        ".": 1,
    }
    entries = [
        {"manager": m, "operation": "Apply", "fieldsV1": f} for m, f in (("a", odd), (5, [1]), ("b", {"f:": {}}))
    ]
    merge = {"content-type": "application/merge-patch+json"}
    answer = await client.patch(f"{WIDGETS}/w", json={"metadata": {"managedFields": [*entries, 7]}}, headers=merge)
    assert answer.status_code == 200, answer.text
    for manager in "ab":
        applied = await client.patch(
            f"{WIDGETS}/w",
            params={"fieldManager": manager, "force": "1"},
            json=widget("w", size=2),
            headers={"content-type": "application/apply-patch+yaml"},
        )
        assert applied.status_code == 200 and applied.json()["spec"]["size"] == 2


def _text(body: Any) -> bytes:
    import json

    return json.dumps(body).encode()
