"""The picture of a run over HTTP."""

from __future__ import annotations

import re
from base64 import b64encode
from hashlib import sha256
from xml.etree import ElementTree

import yaml

from tests.services.pipelines.api.conftest import Server, only_in, refused
from tests.services.pipelines.conductor.rig import chain

V1 = "http://pipelines/pipelines/v1"


async def test_a_runs_graph_is_an_image_that_runs_nothing(server: Server) -> None:
    body = {"display_name": "first", "pipeline_spec": yaml.safe_load(chain(3))}
    run = await server.post("/runs", body)
    answer = await server.http.get(f"{V1}/runs/{run['run_id']}/graph.svg")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/svg+xml")
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    words = [one.text for one in ElementTree.fromstring(answer.text).iter() if one.tag.endswith("text")]
    assert words[0] == "first" and {"add-0", "add-1", "add-2", "waiting"} <= set(words)


async def test_the_console_is_a_page_whose_own_script_alone_runs(server: Server) -> None:
    answer = await server.http.get(f"{V1}/console")
    assert (answer.status_code, answer.headers["content-type"].split(";")[0]) == (200, "text/html")
    (script,) = re.findall(r"<script>(.*?)</script>", answer.text, re.DOTALL)
    digest = b64encode(sha256(script.encode()).digest()).decode()
    policy = answer.headers["content-security-policy"]
    assert f"script-src 'sha256-{digest}'" in policy and "frame-ancestors 'none'" in policy


async def test_the_console_offers_the_namespaces_with_runs_that_one_may_list(server: Server) -> None:
    for space in ("team-a", "team-b"):
        where = (await server.post("/experiments", {"display_name": "e", "namespace": space}))["experiment_id"]
        pipeline = {"pipeline_spec": yaml.safe_load(chain(1))}
        await server.post("/runs", {"display_name": "x", "experiment_id": where, **pipeline})
    assert await server.get(f"{V1}/namespaces") == {"namespaces": ["default", "team-a", "team-b"], "default": "default"}
    server.rights.only = "team-b"
    assert (await server.get(f"{V1}/namespaces"))["namespaces"] == ["team-b"]


async def test_a_run_that_is_not_there_or_anothers_has_none(server: Server) -> None:
    assert refused(await server.http.get(f"{V1}/runs/none/graph.svg"))[0] == 404
    run = await server.post("/runs", {"display_name": "x", "pipeline_spec": yaml.safe_load(chain(1))})
    server.ports.resources.allow = only_in("other")  # type: ignore[method-assign]
    assert refused(await server.http.get(f"{V1}/runs/{run['run_id']}/graph.svg"))[0] == 403
