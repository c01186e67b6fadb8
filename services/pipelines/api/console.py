"""`GET /pipelines/v1/console`: a page for browsers, where the links end that kfp's client prints. It holds nothing
itself: all that it shows it asks for as the person who looks at it."""

from __future__ import annotations

import re
from base64 import b64encode
from hashlib import sha256
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Response

from services.pipelines.api.v2beta1.route import Route, User
from services.pipelines.handlers.spaces import Spaces

PAGE = (Path(__file__).parent / "console.html").read_text()


def policy(page: str) -> str:
    """Only the page's own script runs: names and values that it shows come from anybody."""
    script = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)[0]
    digest = b64encode(sha256(script.encode()).digest()).decode()
    allowed = f"script-src 'sha256-{digest}'; style-src 'unsafe-inline'; connect-src 'self'; img-src 'self' data:"
    return f"default-src 'none'; {allowed}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"


HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": policy(PAGE),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


def router(desk: Spaces) -> APIRouter:
    made = APIRouter(prefix="/pipelines/v1", route_class=Route, tags=["pictures"])

    @made.get("/console", response_class=Response)
    async def console(user: User) -> Response:
        return Response(PAGE, media_type="text/html", headers=HEADERS)

    @made.get("/namespaces")
    async def namespaces(user: User) -> dict[str, Any]:
        return await desk.list(user)

    return made
