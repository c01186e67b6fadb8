"""The model server as a process: it starts, says why it cannot, and leaves without failing a request."""

import asyncio
import json
import signal
import socket
import sys
import time
from pathlib import Path

import httpx
import pytest

from services.serving.domain.failures import EXIT_CODES, read_container
from tests.services.serving import models

PROGRAM = [sys.executable, "-m", "services.serving.workloads.model_server"]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


async def start(folder: Path, uri: str, form: str, *more: str):
    port = free_port()
    arguments = ["--model-name=m", f"--storage-uri={uri}", f"--format={form}", f"--http-port={port}", "--grpc-port=0"]
    log = (folder / "log").open("wb")
    word = f"--termination-log={folder / 'termination-log'}"
    process = await asyncio.create_subprocess_exec(*PROGRAM, *arguments, word, *more, stderr=log, stdout=log)
    return process, f"http://127.0.0.1:{port}"


async def answering(client: httpx.AsyncClient, path: str, code: int) -> None:
    async with asyncio.timeout(60):
        while await _code(client, path) != code:  # noqa: ASYNC110  the other side is another process
            await asyncio.sleep(0.02)


async def _code(client: httpx.AsyncClient, path: str) -> int | None:
    try:
        return (await client.get(path)).status_code
    except httpx.TransportError:
        return None


async def test_a_drain_fails_no_request(tmp_path):
    process, url = await start(tmp_path, str(models.save_sklearn(tmp_path)), "sklearn", "--drain-seconds=4")
    answers: list[int] = []
    async with httpx.AsyncClient(base_url=url) as client:
        await answering(client, "/v2/health/ready", 200)
        process.send_signal(signal.SIGTERM)
        await answering(client, "/v2/health/ready", 503)
        until = time.monotonic() + 1.5
        while time.monotonic() < until and len(answers) < 20:
            answer = await client.post("/v1/models/m:predict", json={"instances": models.ROWS})
            answers.append(answer.status_code)
    assert answers == [200] * len(answers) and answers
    assert await asyncio.wait_for(process.wait(), 30) == 0


@pytest.mark.parametrize(
    ("why", "reason", "form", "content"),
    [
        ("there is no file", "ModelNotFound", "onnx", None),
        ("it is no ONNX graph", "WrongFormat", "onnx", b"not a graph"),
        ("it is no pickle", "WrongFormat", "sklearn", b"not a pickle"),
        ("the format is unknown", "BadArguments", "abacus", b""),
    ],
)
async def test_a_model_that_cannot_be_served_ends_with_its_reason(tmp_path, why, reason, form, content):
    path = tmp_path / "model.bin"
    if content is not None:
        path.write_bytes(content)
    process, _ = await start(tmp_path, str(path), form)
    code = await asyncio.wait_for(process.wait(), 60)
    assert code == EXIT_CODES[reason], why
    word = (tmp_path / "termination-log").read_text()
    ended = {"exitCode": code, "message": word, "finishedAt": "2026-11-22T10:00:00Z"}
    failure = read_container("pod", {"state": {"terminated": ended}})
    assert (failure.reason, json.loads(word)["message"]) == (reason, failure.message)
    from_log = read_container("pod", {"lastState": {"terminated": {"exitCode": code}}}, (tmp_path / "log").read_text())
    assert from_log.reason == reason


async def test_an_ordered_end_while_the_model_still_loads_is_quick_and_clean(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes the download's connection and never answers
        uri = f"http://127.0.0.1:{silent.getsockname()[1]}/model.onnx"
        process, url = await start(tmp_path, uri, "onnx")
        async with httpx.AsyncClient(base_url=url) as client:
            await answering(client, "/v2/health/live", 200)
            assert (await client.get("/v2/health/ready")).status_code == 503
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), 30) == 0
