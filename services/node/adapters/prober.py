"""Asks containers how they are: HTTP and TCP over the pod's address, commands through the runtime."""

import asyncio
import contextlib
from typing import Any

from services.node.ports import PodRuntime

Object = dict[str, Any]


class NetworkProber:
    """Never raises: a probe that cannot be made is a bad answer."""

    def __init__(self, runtime: PodRuntime) -> None:
        self._runtime = runtime

    async def ask(self, pod: Object, container: Object, action: Object, timeout_s: float) -> tuple[bool, str]:
        try:
            async with asyncio.timeout(timeout_s):
                return await self._ask(pod, container, action, timeout_s)
        except TimeoutError:
            return False, f"no answer within {timeout_s:g} s"
        except (OSError, ValueError, asyncio.IncompleteReadError) as error:
            return False, str(error) or type(error).__name__

    async def _ask(self, pod: Object, container: Object, action: Object, timeout_s: float) -> tuple[bool, str]:
        if "exec" in action:
            command = action["exec"].get("command") or []
            answer = await self._runtime.exec(pod["metadata"]["uid"], container["name"], command, timeout_s)
            return answer.exit_code == 0 and not answer.timed_out, answer.output[-1024:]
        kind = next(k for k in ("httpGet", "tcpSocket", "grpc") if k in action)
        where = action[kind]
        host, port = where.get("host") or pod["status"]["podIP"], _port(container, where.get("port"))
        if kind == "httpGet":
            return await _http(host, port, where)
        _, writer = await asyncio.open_connection(host, port)
        writer.close()
        return True, "connected"


def _port(container: Object, port: Any) -> int:
    if isinstance(port, int) or str(port).isdigit():
        return int(port)
    for declared in container.get("ports") or []:
        if declared.get("name") == port:
            return int(declared["containerPort"])
    raise ValueError(f"the container declares no port named {port!r}")


async def _http(host: str, port: int, where: Object) -> tuple[bool, str]:
    reader, writer = await asyncio.open_connection(host, port)
    try:
        headers = {"Host": f"{host}:{port}", "User-Agent": "kube-probe/1.34", "Accept": "*/*", "Connection": "close"}
        headers |= {h["name"]: h["value"] for h in where.get("httpHeaders") or []}
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        writer.write(f"GET {where.get('path') or '/'} HTTP/1.1\r\n{lines}\r\n".encode())
        await writer.drain()
        status = (await reader.readline()).decode("latin-1").split()
        if len(status) < 2 or not status[1].isdigit():
            return False, "not an HTTP answer"
        code = int(status[1])
        return 200 <= code < 400, f"HTTP probe failed with statuscode: {code}" if code >= 400 else str(code)
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
