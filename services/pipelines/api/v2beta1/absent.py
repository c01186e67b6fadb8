"""What KFP's API has and this service has not, and what nobody has: refused as KFP refuses, with what to do instead."""

from __future__ import annotations

import re

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from services.pipelines.domain.codes import NOT_FOUND, UNIMPLEMENTED

METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]
INSTEAD = {
    r"POST visualizations/": "what a viewer draws of an artifact is at GET /pipelines/v1/artifacts/{id}/view",
    r"POST (workflows|scheduledworkflows)$": "nobody reports: runs and recurring runs are recorded by who runs them",
    r"GET filters$": "KFP has it to document `filter`, which every list takes",
    r"(POST|PATCH|PUT) tasks\b": "tasks are recorded by who runs them: to link an artifact to one "
    "there is POST artifact_tasks",
    r"DELETE artifacts/": "KFP's API has no such call: what no run made goes by DELETE /pipelines/v1/artifacts/{id}, "
    "what a run made goes with the run",
    r"POST runs/[^/]+:reportMetrics$": "KFP's API v2beta1 has no such call: a step gives its metrics as an "
    "Output[Metrics], and POST artifacts records others, with a run_id those of a run",
}
"""By the method and the path of the call."""


def add_to(made: APIRouter) -> None:
    """After all others, since it takes every path."""

    @made.api_route("/{path:path}", methods=METHODS, include_in_schema=False)
    async def absent(request: Request, path: str) -> Response:
        call = f"{request.method} {path}"
        for pattern, told in INSTEAD.items():
            if re.match(pattern, call):
                return _answer(501, UNIMPLEMENTED, f"{request.method} {request.url.path} is not served here: {told}")
        return _answer(404, NOT_FOUND, f"there is no call {request.method} {request.url.path} in KFP's API v2beta1")


def _answer(status: int, code: int, message: str) -> Response:
    return JSONResponse({"error": message, "code": code, "message": message, "details": []}, status)
