"""Answers: JSON or YAML, Status for failures, streams for watches; it decides nothing about objects."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import orjson
import yaml
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from libs.base import ApiError


def json_answer(
    value: Any, code: int = 200, *, warnings: Sequence[str] = (), media: str = "application/json"
) -> Response:
    response = Response(orjson.dumps(value), code, media_type=media)
    for warning in list(dict.fromkeys(warnings))[:50]:
        response.headers.append("Warning", f'299 - "{_header_text(warning)}"')
    return response


def _header_text(text: str) -> str:
    plain = "".join(c if 32 <= ord(c) < 127 else "?" for c in text)
    return plain.replace("\\", "\\\\").replace('"', '\\"')[:500]


def yaml_answer(value: Any, code: int = 200) -> Response:
    text = yaml.dump(value, Dumper=yaml.CSafeDumper, sort_keys=False, allow_unicode=True)
    return Response(text, code, media_type="application/yaml")


def failure(error: ApiError) -> Response:
    headers = {"Retry-After": str(error.retry_after_s)} if error.retry_after_s is not None else None
    return Response(orjson.dumps(error.status()), error.code, headers, "application/json")


class Stream(Response):
    """Lines as they come; ends when the client goes away, also while nothing happens."""

    def __init__(
        self, chunks: AsyncIterator[bytes], media: str = "application/json", headers: Mapping[str, str] | None = None
    ):
        super().__init__(None, 200, headers, media)
        del self.headers["content-length"]
        self._chunks = chunks

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        sending = asyncio.ensure_future(self._send(send))
        leaving = asyncio.ensure_future(_gone(receive))
        try:
            await asyncio.wait((sending, leaving), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (sending, leaving):
                task.cancel()
            await asyncio.gather(sending, leaving, return_exceptions=True)
            await self._close()

    async def _send(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        with contextlib.suppress(OSError):
            async for chunk in self._chunks:
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await send({"type": "http.response.body", "body": b""})

    async def _close(self) -> None:
        close = getattr(self._chunks, "aclose", None)
        if close is not None:
            await close()


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
