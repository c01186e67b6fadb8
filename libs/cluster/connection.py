"""The wire to a Kubernetes API server: address, trust and token from kubeconfig or pod; knows paths, no kinds."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlencode, urlsplit

import orjson

from libs.base.clock import Clock
from libs.base.errors import ApiError, Unauthorized, Unavailable, error_from_status
from libs.base.ids import chance
from libs.cluster.patience import wait_before_again
from libs.telemetry import SHORT_S, counter, histogram

if TYPE_CHECKING:
    import aiohttp
    from kubernetes.aio.client.configuration import Configuration
    from kubernetes.aio.client.rest import RESTClientObject

Query = Mapping[str, str | int | bool | None]

TOKEN_AGE_S = 60
"""How old a token may grow before it is read again: bound tokens are rotated in their file (KEP-1205)."""
CONNECT_TIMEOUT_S = 10
CALL_TIMEOUT_S = 60
CALLED = histogram("cluster_request_seconds", "Time until the cluster's API begins to answer", ("verb",), SHORT_S)
ANSWERED = counter(
    "cluster_requests", "Calls of the cluster's API; code 0: no answer, 429: throttled", ("verb", "code")
)


class Cut(Unavailable):
    """The connection broke or was never there: nobody knows whether the call was carried out."""


class Connection:
    """Requests with the current credentials; every failure is an ApiError. `jitter` gives numbers from 0 to 1."""

    def __init__(
        self, rest: "RESTClientObject", credentials: "Credentials", clock: Clock, jitter: Callable[[], float] = chance
    ) -> None:
        self._rest, self._credentials, self._clock, self._jitter = rest, credentials, clock, jitter

    @classmethod
    async def open(cls, kubeconfig: str | None, clock: Clock) -> "Connection":
        """From the kubeconfig file, else from the pod's own service account."""
        from kubernetes.aio.client.rest import RESTClientObject

        credentials = Credentials(kubeconfig, clock)
        configuration = await credentials.load()
        return cls(RESTClientObject(configuration), credentials, clock)

    async def close(self) -> None:
        await self._rest.close()

    def _request(self, *args: Any, **more: Any) -> Any:
        send: Any = self._rest.request
        return send(*args, **more)

    async def call(
        self, method: str, path: str, query: Query | None = None, body: Any = None, *, media: str = "application/json"
    ) -> dict[str, Any]:
        """One JSON answer; raises the ApiError that the server's Status tells of.

        A throttled or cut call is sent again a few times where that is safe, as late as the server asks for.
        """
        attempt = 1
        while True:
            try:
                return await self._once(method, path, query, body, media)
            except ApiError as error:
                cut = isinstance(error, Cut)
                wait_s = wait_before_again(method, error, attempt, cut=cut, spread=self._jitter())
                if wait_s is None:
                    raise
            await self._clock.sleep(wait_s)
            attempt += 1

    async def _once(self, method: str, path: str, query: Query | None, body: Any, media: str) -> dict[str, Any]:
        async with self.stream(method, path, query, body, media=media, timeout_s=CALL_TIMEOUT_S) as answer:
            data = await _careful(answer.read())
        parsed = orjson.loads(data) if data else {}
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
        fixed = {"Accept": accept, "Content-Type": media}
        try:
            answer = await self._open(method, path + _query(query), fixed, body, limits)
        except Unauthorized:
            # The token may have been rotated since it was read. Refused for that, nothing was done: once more.
            if not await self._credentials.renew():
                raise
            answer = await self._open(method, path + _query(query), fixed, body, limits)
        try:
            yield answer
        except (aiohttp.ClientError, OSError) as error:
            raise _unreachable(error) from error
        finally:
            answer.close() if not answer.content.at_eof() else answer.release()

    async def _open(self, method: str, target: str, fixed: dict[str, str], body: Any, limits: Any) -> Any:
        """The answer's head; raises ApiError for one that is an error."""
        headers = {**fixed, **await self._credentials.headers()}
        url = self._credentials.host + target
        verb = "watch" if "watch=true" in target else method.lower()
        began, code = self._clock.monotonic(), 0
        try:
            answer = (await _careful(self._request(method, url, headers, body, _request_timeout=limits))).response
            code = answer.status
        finally:
            CALLED.labels(verb).observe(self._clock.monotonic() - began)
            ANSWERED.labels(verb, str(code)).inc()
        if answer.status < 400:
            return answer
        try:
            retry_after_s = _seconds(answer.headers.get("Retry-After"), self._clock.now())
            raise _error(answer.status, await _careful(answer.read()), retry_after_s)
        finally:
            answer.close() if not answer.content.at_eof() else answer.release()


class Credentials:
    """Address, trust and a token that is read again as it ages."""

    def __init__(self, kubeconfig: str | None, clock: Clock) -> None:
        self._kubeconfig, self._clock = kubeconfig, clock
        self._configuration: Configuration | None = None
        self._read_at = 0.0
        self._reading = asyncio.Lock()

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
        if self._is_old():
            async with self._reading:
                if self._is_old():  # many calls may have waited for the one that read it
                    await self.load()
        token = await self._token()
        return {"Authorization": token} if token else {}

    async def renew(self) -> bool:
        """Reads the token again after it was refused; whether it is another one now."""
        refused = await self._token()
        async with self._reading:
            if await self._token() == refused:
                await self.load()
        return await self._token() != refused

    def _is_old(self) -> bool:
        return self._clock.monotonic() - self._read_at > TOKEN_AGE_S

    async def _token(self) -> str | None:
        assert self._configuration is not None, "load() comes first"
        token = await self._configuration.get_api_key_with_prefix("BearerToken", alias="authorization")
        return str(token) if token else None


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
    """Who was silent for the whole time allowed is not asked again at once; a broken connection is."""
    kind = Unavailable if isinstance(error, TimeoutError) else Cut
    return kind(f"the cluster does not answer: {type(error).__name__}: {error}")


def _seconds(retry_after: str | None, now: datetime) -> int | None:
    """Retry-After as seconds from `now`: a number or a date (RFC 9110, section 10.2.3)."""
    if not retry_after:
        return None
    if retry_after.strip().isdigit():
        return int(retry_after)
    try:
        return max(0, round((parsedate_to_datetime(retry_after) - now).total_seconds()))
    except (ValueError, TypeError):
        return None


def _error(code: int, data: bytes, retry_after_s: int | None) -> ApiError:
    try:
        status = orjson.loads(data)
    except ValueError:
        status = None
    if not isinstance(status, dict) or status.get("kind") != "Status":
        status = {"code": code, "message": data[:500].decode(errors="replace") or f"HTTP {code}"}
    error = error_from_status({**status, "code": code})
    if retry_after_s is not None:
        error.retry_after_s = retry_after_s
    return error
