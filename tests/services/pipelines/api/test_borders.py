"""Nobody gets at another namespace's things by any route there is: the routes are asked of the router itself."""

from __future__ import annotations

import re
from typing import Any

from services.pipelines.api.v2beta1.rest import rest
from services.pipelines.handlers.artifacts import Artifacts
from tests.services.pipelines.api.conftest import Server, refused
from tests.services.pipelines.api.test_runs import asked, simple

OPEN = {"/healthz", "/{path:path}"}
TRIGGER = {"trigger": {"periodic_schedule": {"interval_second": "60"}}}


async def made(server: Server) -> dict[str, str]:
    """One thing of each sort in the namespace of somebody else, by the words that routes have for them."""
    both = {"pipeline": {"display_name": "p"}, "pipeline_version": {"display_name": "v", "pipeline_spec": simple()}}
    pipeline = (await server.post("/pipelines/create", both))["pipeline_id"]
    [version] = (await server.get(f"/pipelines/{pipeline}/versions"))["pipeline_versions"]
    run = (await server.post("/runs", asked()))["run_id"]
    job = (await server.post("/recurringruns", asked(**TRIGGER)))["recurring_run_id"]
    experiment = (await server.get(f"/runs/{run}"))["experiment_id"]
    known = {"pipelines": pipeline, "runs": run, "recurringruns": job, "experiments": experiment}
    return {**known, "version_id": version["pipeline_version_id"]}


def filled(path: str, known: dict[str, str]) -> str:
    """The path with ids of things that are there, so that it is not the want of them that answers."""
    own = known.get(path.split("/")[1], "nothing")
    words = {"id": own, "name": "p", "version_id": known["version_id"], "node": "a"}
    return re.sub(r"{(\w+)}", lambda found: words[found[1]], path)


def body_of(path: str, known: dict[str, str]) -> Any:
    both = {"pipeline": {"display_name": "q"}, "pipeline_version": {"display_name": "v", "pipeline_spec": simple()}}
    run = asked(experiment_id=known["experiments"])
    version = {"display_name": "w", "pipeline_spec": simple()}
    artifact = {"artifact": {"name": "a", "type": "Model"}}
    bodies = {
        "/artifacts": artifact,
        "/artifacts:batchCreate": {"artifacts": [artifact]},
        "/pipelines/create": both,
        "/runs": run,
        "/recurringruns": {**run, **TRIGGER},
        "/pipelines/{id}/versions": version,
    }
    return bodies.get(path, {"display_name": "stolen"})


async def test_every_route_is_closed_to_who_has_rights_in_another_namespace_alone(server: Server):
    known = await made(server)
    before = await server.said()
    server.rights.only = "theirs"
    routes: list[Any] = rest(server.means, Artifacts(server.means, None, None, None)).routes  # type: ignore[arg-type]
    opened, asked_for = [], 0
    for route in routes:
        path = route.path.removeprefix("/apis/v2beta1")
        if path in OPEN or "/artifacts/{id}" in path or "task" in path:  # they have tests of their own
            continue
        for method in route.methods:
            package = {"files": {"uploadfile": b"x"}} if "/upload" in path else {"json": body_of(path, known)}
            more = package if method in ("POST", "PATCH") else {}
            query = {"pipelineid": known["pipelines"]} if path.endswith("upload_version") else {}
            answer = await server.http.request(method, filled(path, known), params=query, **more)
            asked_for += 1
            if answer.status_code != 403 or refused(answer)[1] != 7:
                opened.append((method, path, answer.status_code, answer.text[:100]))
    assert opened == [] and asked_for > 35
    assert await server.said() == before, "something was done"
