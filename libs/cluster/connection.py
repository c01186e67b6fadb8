"""The wire to a Kubernetes API server: address, trust and token from kubeconfig or pod; knows paths, no kinds."""

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlencode, urlsplit

from libs.base.clock import Clock
from libs.base.errors import ApiError, Unavailable, error_from_status

if TYPE_CHECKING:
    import aiohttp
    from kubernetes.aio.client.configuration import Configuration
    from kubernetes.aio.client.rest import RESTClientObject

Query = Mapping[str, str | int | bool | None]

TOKEN_AGE_S = 60
"""How old a token may grow before it is read again: bound tokens are rotated in their file (KEP-1205)."""
CONNECT_TIMEOUT_S = 10


class Connection:
    """Requests with the current credentials; every failure is an ApiError."""

    def __init__(self, rest: "RESTClientObject", credentials: "Credentials") -> None:
        self._rest, self._credentials = rest, credentials

    @classmethod
    async def open(cls, kubeconfig: str | None, clock: Clock) -> "Connection":
        """From the kubeconfig file, else from the pod's own service account."""
        from kubernetes.aio.client.rest import RESTClientObject

        credentials = Credentials(kubeconfig, clock)
        configuration = await credentials.load()
        return cls(RESTClientObject(configuration), credentials)

    async def close(self) -> None:
        await self._rest.close()

    def _request(self, *args: Any, **more: Any) -> Any:
        send: Any = self._rest.request
        return send(*args, **more)

    async def call(
        self, method: str, path: str, query: Query | None = None, body: Any = None, *, media: str = "application/json"
    ) -> dict[str, Any]:
        """One JSON answer; raises the ApiError that the server's Status tells of."""
        async with self.stream(method, path, query, body, media=media, timeout_s=60) as answer:
            data = await _careful(answer.read())
        parsed = json.loads(data) if data else {}
        return parsed if isinstance(parsed, dict) else {}

    @asynccontextmanager
    async def stream(
        self,
        method: str,
        path: str,
        query: Query | None = None,
        body: Any = None,
        *,
        media: str = "application/json",
        accept: str = "application/json",
        timeout_s: float | None = None,
        idle_s: float | None = None,
    ) -> AsyncIterator["aiohttp.ClientResponse"]:
        """An open answer that the caller reads; it fails after `idle_s` of silence or `timeout_s` in all."""
        import aiohttp

        limits = aiohttp.ClientTimeout(total=timeout_s, sock_connect=CONNECT_TIMEOUT_S, sock_read=idle_s)
        headers = {"Accept": accept, "Content-Type": media, **await self._credentials.headers()}
        url = self._credentials.host + path + _query(query)
        answer = (await _careful(self._request(method, url, headers, body, _request_timeout=limits))).response
        try:
            if answer.status >= 400:
                raise _error(answer.status, await _careful(answer.read()))
            yield answer
        except (aiohttp.ClientError, OSError) as error:
            raise _unreachable(error) from error
        finally:
            answer.close() if not answer.content.at_eof() else answer.release()


class Credentials:
    """Address, trust and a token that is read again as it ages."""

    def __init__(self, kubeconfig: str | None, clock: Clock) -> None:
        self._kubeconfig, self._clock = kubeconfig, clock
        self._configuration: Configuration | None = None
        self._read_at = 0.0

    @property
    def host(self) -> str:
        assert self._configuration is not None, "load() comes first"
        return str(self._configuration.host).rstrip("/")

    async def load(self) -> "Configuration":
        from kubernetes.aio import config
        from kubernetes.aio.client.configuration import Configuration

        found, load = Configuration(), cast(Any, config)
        if self._kubeconfig:
            await load.load_kube_config(config_file=self._kubeconfig, client_configuration=found, persist_config=False)
        else:
            load.load_incluster_config(client_configuration=found, try_refresh_token=False)
        # A proxy of the environment is for the outside world; a loopback API server is never behind it.
        if (urlsplit(str(found.host)).hostname or "").startswith(("127.", "localhost", "::1")):
            found.client_session_kwargs = {"trust_env": False}
        self._configuration, self._read_at = found, self._clock.monotonic()
        return found

    async def headers(self) -> dict[str, str]:
        if self._clock.monotonic() - self._read_at > TOKEN_AGE_S:
            await self.load()
        assert self._configuration is not None, "load() comes first"
        token = await self._configuration.get_api_key_with_prefix("BearerToken", alias="authorization")
        return {"Authorization": token} if token else {}


def _query(query: Query | None) -> str:
    pairs: Sequence[tuple[str, str]] = [(k, _text(v)) for k, v in (query or {}).items() if v is not None]
    return "?" + urlencode(pairs) if pairs else ""


def _text(value: str | int | bool | None) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


async def _careful(work: Any) -> Any:
    """Awaits `work`; what the network did wrong becomes Unavailable."""
    import aiohttp

    try:
        return await work
    except (aiohttp.ClientError, OSError) as error:
        raise _unreachable(error) from error


def _unreachable(error: BaseException) -> Unavailable:
    return Unavailable(f"the cluster does not answer: {type(error).__name__}: {error}")


def _error(code: int, data: bytes) -> ApiError:
    try:
        status = json.loads(data)
    except ValueError:
        status = None
    if not isinstance(status, dict) or status.get("kind") != "Status":
        status = {"code": code, "message": data[:500].decode(errors="replace") or f"HTTP {code}"}
    return error_from_status({**status, "code": code})
