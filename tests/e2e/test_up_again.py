"""`millstream up` of a home that is there already: what it is told now holds, whether the platform runs or not."""

from __future__ import annotations

import json
import queue
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler
from typing import Any

import httpx
import pytest

from libs.testing.web import web_server
from tests.e2e.test_pipeline_crash import call
from tests.platform import Platform, free_ports

SPEC = {
    "pipelineInfo": {"name": "told"},
    "schemaVersion": "2.1.0",
    "sdkVersion": "kfp-2.17.0",
    "components": {"comp-step": {"executorLabel": "exec-step"}},
    "deploymentSpec": {"executors": {"exec-step": {"container": {"image": "python:3.11", "command": ["true"]}}}},
    "root": {"dag": {"tasks": {"step": {"taskInfo": {"name": "step"}, "componentRef": {"name": "comp-step"}}}}},
}


@contextmanager
def listener() -> Iterator[tuple[str, queue.Queue[dict[str, Any]]]]:
    """Somebody who takes OpenLineage events, and what was said to them."""
    heard: queue.Queue[dict[str, Any]] = queue.Queue()

    class Ear(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            heard.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(201)
            self.send_header("Content-Length", "0")
            self.end_headers()

    with web_server(Ear) as url:
        yield url, heard


def told_of(platform: Platform, name: str, heard: queue.Queue[dict[str, Any]]) -> str:
    """What is told first of a run that is begun now; of the runs before something may still be told, or told again."""
    run = call(platform, "POST", "runs", {"display_name": name, "pipeline_spec": SPEC})["run_id"]
    while (event := heard.get(timeout=60))["run"]["runId"] != run:
        pass
    return str(event["eventType"])


@pytest.mark.timeout(300)
def test_a_home_that_is_started_again_takes_the_ports_and_the_listeners_it_is_told_of(platform: Platform) -> None:
    with listener() as (url, heard):
        said = platform.run("up", "--detach", OPENLINEAGE_URL=url)
        assert f"OPENLINEAGE_URL={url}" in said
        assert told_of(platform, "while it runs", heard) == "START"

        http, https = free_ports(2)
        refused = platform.run("up", "--detach", "--http", str(http), check=False)
        assert "to change its ports, `millstream down` first" in refused

        platform.run("down")
        said = platform.run("up", "--detach", "--http", str(http), "--https", str(https))
        assert f"OPENLINEAGE_URL={url}" in said, "as before, for nothing else was said"
        moved = replace(platform, http=f"http://127.0.0.1:{http}", https=f"https://127.0.0.1:{https}")
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"{platform.http}/readyz", trust_env=False)
        assert httpx.get(f"{moved.https}/readyz", trust_env=False, verify=False).status_code == 200
        assert told_of(moved, "on other ports", heard) == "START"

        assert "The code has changed" not in said
        settings = platform.home / "settings.json"
        settings.write_text(json.dumps({**json.loads(settings.read_text()), "code": 1}))
        said = platform.run("up", "--detach", OPENLINEAGE_URL="")
        assert "OPENLINEAGE_URL" not in said
        assert "The code has changed" in said and "`millstream down" in said, "it was started long ago"
