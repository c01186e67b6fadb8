"""Machines that try everything: each OpenAPI document and each subject of a running platform, against the clock.

`MILLSTREAM_FUZZ_S` is how long each of the two runs may last (45 s when it is not set).
"""

from __future__ import annotations

import asyncio
import json
import os
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nats
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from millstream import messages
from millstream.laptop import manifests
from nats.js import JetStreamContext

from tests.platform import Platform

BUDGET_S = float(os.environ.get("MILLSTREAM_FUZZ_S", "25"))
NAMESPACE = "fuzz"
QUIET = tuple(HealthCheck)
# Whom a wrong guess would take the platform itself from.
SPARED = ("/api/v1/namespaces", "/api/v1/nodes", "/apis/trainer.kubeflow.org/v1alpha1/clustertrainingruntimes")


def documents(platform: Platform) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every OpenAPI document that the gateway shows."""
    index = requests.get(f"{platform.http}/openapi/v3", timeout=30).json()["paths"]
    paths = [entry["serverRelativeURL"] for entry in index.values()]
    for path in [*paths, "/openapi/trainer.json", "/openapi/registry.json", "/openapi/pipelines.json"]:
        answer = requests.get(platform.http + path, timeout=30)
        assert answer.status_code == 200, f"{path}: {answer.text}"
        yield path.split("?")[0], answer.json()


def operations(platform: Platform) -> list[Any]:
    found = []
    for path, document in documents(platform):
        schema = schemathesis.openapi.from_dict(document)
        operations = [each.ok() for each in schema.get_all_operations()]
        assert operations, f"{path} names no operation"
        found += [each for each in operations if not _would_end_the_platform(each)]
    return found


def _would_end_the_platform(operation: Any) -> bool:
    return operation.method.upper() == "DELETE" and operation.path in SPARED


class Knocker:
    """Sends cases and looks at the answers."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._session = requests.Session()
        self._session.headers["Authorization"] = f"Bearer {platform.token}"
        self.sent = 0

    def knock(self, case: Any) -> None:
        if "namespace" in (case.path_parameters or {}) and self.sent % 3:
            case.path_parameters["namespace"] = NAMESPACE
        if case.path.startswith("/api/v1/nodes") and case.method.upper() != "GET":
            return
        request = case.as_transport_kwargs(base_url=self._platform.http)
        try:
            prepared = self._session.prepare_request(
                requests.Request(**{key: request[key] for key in request if key in _PARTS})
            )
        except (ValueError, requests.RequestException):
            return  # not sendable as HTTP at all
        self.sent += 1
        with self._session.send(prepared, stream=True, timeout=60) as answer:
            told = "" if answer.ok else answer.text
        shown = f"{prepared.method} {prepared.url}\n{str(prepared.body)[:2000]}\n-> {answer.status_code} {told[:800]}"
        assert answer.status_code < 500, shown
        if answer.status_code >= 400 and prepared.method != "HEAD":
            assert explains(told), shown


_PARTS = ("method", "url", "headers", "params", "data", "json", "files", "cookies")


def explains(text: str) -> bool:
    """Whether an error body says something in one of the platform's dialects."""
    try:
        body = json.loads(text)
    except ValueError:
        return False
    return isinstance(body, dict) and bool(body.get("message") or body.get("error"))


def run(operation: Any, knocker: Knocker, examples: int, number: int) -> None:
    @seed(number)
    @settings(max_examples=examples, deadline=None, database=None, phases=[Phase.generate], suppress_health_check=QUIET)
    @given(case=operation.as_strategy())
    def one(case: Any) -> None:
        knocker.knock(case)

    one()


@pytest.mark.timeout(max(240.0, 4 * BUDGET_S))
def test_no_operation_of_any_openapi_document_fails_in_the_service(platform: Platform) -> None:
    requests.post(
        f"{platform.http}/api/v1/namespaces",
        json={"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}},
        timeout=30,
    ).raise_for_status()
    known, knocker, failures = operations(platform), Knocker(platform), []
    end, rounds = time.monotonic() + BUDGET_S, 0
    while rounds == 0 or time.monotonic() < end:
        for number, operation in enumerate(known):
            if rounds and time.monotonic() > end:
                break
            try:
                run(operation, knocker, 2 if rounds == 0 else 5, rounds * 1000 + number)
            except BaseException as error:
                failures.append(f"{operation.method} {operation.path}: {error}")
        rounds += 1
    assert knocker.sent > len(known)
    assert not failures, f"{len(failures)} of {len(known)} operations:\n" + "\n\n".join(failures[:10])
    assert requests.get(f"{platform.http}/readyz", timeout=30).status_code == 200


# subjects

SAMPLES = {
    path.stem: json.loads(path.read_text().replace("team-a", NAMESPACE))
    for path in (Path(__file__).parents[2] / "contracts" / "golden" / "letters").glob("*.json")
}
JSONS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
DEEP = st.integers(10, 20_000).map(lambda depth: b"[" * depth + b"]" * depth)
HEADERS = st.dictionaries(
    st.sampled_from(["Content-Type", "ce-id", "ce-type", "ce-source", "ce-specversion", "Nats-Msg-Id", "x"]),
    st.sampled_from(["application/json", "application/cloudevents+json", "1.0", "%zz", "\u00e9", "x" * 2000])
    | st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=12),
    max_size=3,
)


@st.composite
def garbled(draw: st.DrawFn, sample: dict[str, Any]) -> bytes:
    """A sample letter in which up to three values, anywhere, have become something else or nothing."""
    letter = json.loads(json.dumps(sample)) | {"id": str(uuid.UUID(int=draw(st.integers(0, 2**128 - 1))))}
    for _ in range(draw(st.integers(1, 3))):
        at: Any = letter["data"] if draw(st.booleans()) and isinstance(letter.get("data"), dict) else letter
        if not at:
            continue
        while True:
            key = draw(st.sampled_from(sorted(at)))
            if isinstance(at[key], dict) and at[key] and draw(st.booleans()):
                at = at[key]
                continue
            break
        if draw(st.booleans()):
            at[key] = draw(JSONS)
        elif len(at) > 1:
            del at[key]
    return json.dumps(letter).encode()


def heard() -> list[tuple[str, str]]:
    """(service, type) for everything that some service hears."""
    return [(manifest.name, type_) for manifest in manifests() for type_ in manifest.hears]


def written(type_: str, count: int, number: int) -> list[tuple[dict[str, str], bytes]]:
    """Messages that hypothesis makes up for one subject."""
    made: list[tuple[dict[str, str], bytes]] = []
    raw = st.binary(max_size=200) | JSONS.map(lambda value: json.dumps(value).encode()) | DEEP
    bodies = st.integers(0, 4).flatmap(lambda die: garbled(SAMPLES[type_]) if die else raw)

    @seed(number)
    @settings(max_examples=count, deadline=None, database=None, phases=[Phase.generate], suppress_health_check=QUIET)
    @given(HEADERS, bodies)
    def make(headers: dict[str, str], body: bytes) -> None:
        made.append((headers, body))

    make()
    return made


async def pending(js: JetStreamContext, service: str) -> int:
    info = await js.consumer_info("millstream", service)
    return (info.num_pending or 0) + (info.num_ack_pending or 0)


async def answer(platform: Platform) -> float:
    """Seconds until a good command is answered."""
    bus = await messages.connect(platform.env["NATS_URL"])
    try:
        began = time.monotonic()
        manifest = {
            "apiVersion": "trainer.kubeflow.org/v1alpha1",
            "kind": "TrainJob",
            "metadata": {"name": "good"},
            "spec": {"runtimeRef": {"name": "python"}, "suspend": True, "trainer": {"command": ["true"]}},
        }
        letter = messages.compose("training.trainjob.apply.v1", {"manifest": manifest}, NAMESPACE)
        told = await messages.ask(bus, letter, timeout_s=60)
        assert told["type"] == "training.trainjob.applied.v1", told
        return time.monotonic() - began
    finally:
        await bus.close()


@pytest.mark.timeout(max(240.0, 4 * BUDGET_S))
async def test_no_message_on_any_subject_stops_a_consumer(platform: Platform) -> None:
    nc = await nats.connect(platform.env["NATS_URL"])
    js = nc.jetstream()
    end, rounds, sent = time.monotonic() + BUDGET_S / 2, 0, 0
    while rounds == 0 or time.monotonic() < end:
        for number, (_, type_) in enumerate(heard()):
            for headers, body in written(type_, 20, rounds * 1000 + number):
                await nc.publish(f"millstream.{type_}.{NAMESPACE}", body, headers=headers)
                sent += 1
            await nc.flush()
        rounds += 1
    assert sent > 10 * len(heard())
    services = sorted({service for service, _ in heard()})
    end = time.monotonic() + 60
    while left := {service: count for service in services if (count := await pending(js, service))}:
        assert time.monotonic() < end, f"not taken within 60 s after {sent} messages: {left}"
        await asyncio.sleep(0.3)
    assert await answer(platform) < 15
    await nc.close()
    bus = await messages.connect(platform.env["NATS_URL"])
    try:
        dead = await bus.dead_letters(100_000)
    finally:
        await bus.close()
    assert {letter.handler for letter in dead} == set(services)
    assert all(letter.reason and letter.subject and letter.attempts for letter in dead)
    # Anything else was thrown by a handler that met what it did not expect, and was tried again for nothing.
    unforeseen = {letter.reason for letter in dead if not letter.reason.startswith(("malformed letter: ", "invalid: "))}
    assert not unforeseen
