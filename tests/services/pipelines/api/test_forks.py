"""Dry runs and forks as they are asked for over HTTP."""

from typing import Any

import yaml

from tests.services.pipelines.api.conftest import Server, refused
from tests.services.pipelines.conductor.rig import chain

V1 = "http://pipelines/pipelines/v1"


async def begun(server: Server) -> dict[str, Any]:
    spec = yaml.safe_load(chain(3))
    return await server.post("/runs", {"display_name": "first", "pipeline_spec": spec})


async def test_a_dry_run_is_asked_for_as_a_run_is_and_leaves_none(server: Server) -> None:
    told = await server.post(f"{V1}/dry-run", {"pipeline_spec": yaml.safe_load(chain(2))})
    assert told["counts"] == {"later": 1, "run": 1}
    assert told["tasks"][0]["path"] == "add-0"
    assert await server.get("/runs") == {"runs": [], "total_size": 0, "next_page_token": ""}


async def test_a_fork_is_a_run_of_the_same_pipeline_beside_the_first(server: Server) -> None:
    first = await begun(server)
    fork = await server.post(f"{V1}/runs/{first['run_id']}:fork", {"steps": ["add-1"]})
    assert fork["display_name"] == "first (fork)"
    assert fork["run_id"] != first["run_id"] and fork["experiment_id"] == first["experiment_id"]
    told = await server.post(f"{V1}/runs/{first['run_id']}:fork", {"steps": ["add-1"], "dry_run": True})
    assert told["counts"] == {"later": 2, "run": 1}
    assert len((await server.get("/runs"))["runs"]) == 2
    again = await server.post(f"{V1}/runs/{fork['run_id']}:fork", {"steps": ["add-1"]})
    assert again["display_name"] == "first (fork)"


async def test_a_fork_that_makes_no_sense_is_refused(server: Server) -> None:
    first = await begun(server)
    path = f"{V1}/runs/{first['run_id']}:fork"
    status, _, message = refused(await server.http.post(path, json={"steps": ["add-9"]}))
    assert (status, message) == (400, "steps: 'add-9': root has no task 'add-9'; it has add-0, add-1, add-2")
    assert "`steps`" in refused(await server.http.post(path, json={"only": True}))[2]
    assert refused(await server.http.post(f"{V1}/runs/none:fork", json={}))[0] == 404
