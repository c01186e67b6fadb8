"""The composition root: manifests and settings in, one ASGI app out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from libs import telemetry
from libs.base.clock import Clock, SystemClock
from libs.base.errors import NotFound
from libs.service import manifest
from libs.service.asgi import ASGIApp
from libs.service.identity import Signer, User
from libs.service.limits import BodyLimit, Drain
from libs.service.manifest import Manifest
from libs.service.measured import Measured
from libs.service.measures import certificate_measure
from libs.service.probes import Probes
from libs.service.shell import Refused
from libs.service.tasks import Tasks
from services.gateway.adapters.tokens import BearerTokens
from services.gateway.adapters.upstreams import HttpUpstreams
from services.gateway.api.discovery import Discovery
from services.gateway.api.door import Door
from services.gateway.api.front import Behind, Front
from services.gateway.api.serving import Serving
from services.gateway.domain.options import Options
from services.gateway.domain.table import NODE, Table

if TYPE_CHECKING:
    from libs.service.delegation import Delegation

SERVICES = Path(__file__).resolve().parent.parent
OWNER_GROUPS = ("system:masters", "system:authenticated")
LOCAL_GROUPS = ("millstream:local", "system:authenticated")
"""Of who shows no token but sits on this machine. So does every pod: services may ask for a token where it matters."""


class Gateway:
    """The running gateway; see libs.service.runner.Hosted."""

    def __init__(self, answering: ASGIApp, options: Options, clock: Clock, front: Delegation | None = None) -> None:
        self.front = front
        self._drain = Drain(BodyLimit(answering, options.max_body_bytes))
        wished = {"front-proxy": front.check} if front else {}
        self.asgi: ASGIApp = Probes(
            Measured(self._drain, clock, trace=bool(options.otlp_endpoint)),
            {"stop": self._stop_check},
            wished,
            certificate_measure(options),
        )

    def begin_stop(self) -> None:
        self._drain.begin()

    async def _stop_check(self) -> str:
        return "stopping" if self._drain.begun else "ok"


@asynccontextmanager
async def open_gateway(
    options: Options, *, manifests: Sequence[Manifest] | None = None, clock: Clock | None = None
) -> AsyncIterator[Gateway]:
    """A gateway before all services that have a manifest. Raises Refused when a key or a file is missing."""
    clock = clock or SystemClock()
    telemetry.setup("gateway", options)
    known = manifest.load_all(SERVICES) if manifests is None else manifests
    table = Table.of(each for each in known if each.name not in ("gateway", NODE))
    signer = Signer(_text(options.identity_private_key, "MILLSTREAM_IDENTITY_PRIVATE_KEY"), clock)
    async with AsyncExitStack() as stack:
        upstreams = HttpUpstreams(
            _urls(table, options),
            signer,
            clock,
            node_token_file=options.node_token_file,
            node_ca_file=options.node_ca_file,
        )
        stack.push_async_callback(upstreams.close)
        delegation = await _delegation(options, clock, stack)
        front = _front(table, options, upstreams, delegation, clock)
        yield Gateway(front, options, clock, delegation if options.tls_port else None)


async def _delegation(options: Options, clock: Clock, stack: AsyncExitStack) -> Delegation | None:
    """What the gateway leaves to the cluster; nothing of it is imported where there is no cluster to ask."""
    if not (options.tls_port or options.token_review or options.authorization == "cluster"):
        return None
    from libs.service.delegation import delegating

    found = await stack.enter_async_context(delegating(options, clock))
    if options.tls_port:
        tasks = Tasks(clock)
        tasks.start("front-proxy", found.keep)
        stack.push_async_callback(tasks.stop)
    return found


def _front(
    table: Table, options: Options, upstreams: HttpUpstreams, delegation: Delegation | None, clock: Clock
) -> Front:
    owner, local = (User(options.local_user_name, groups) for groups in (OWNER_GROUPS, LOCAL_GROUPS))
    token = _text(options.local_token, "MILLSTREAM_LOCAL_TOKEN").strip() if options.local_token else None
    review = delegation.reviews.user_of if delegation and options.token_review else None
    tokens = BearerTokens(options.issuers, token, owner, _fetch(), clock, review)
    ttl_s, has_node = options.discovery_ttl_s, bool(options.node_url)
    inner = Discovery(table, upstreams, clock, has_node=False, ttl_s=ttl_s)
    return Front(
        table,
        Door(tokens, local if options.local_user else None, options.public_url, delegation),
        Discovery(table, upstreams, clock, has_node=has_node, ttl_s=ttl_s),
        upstreams,
        behind=Behind(delegation, inner) if delegation else None,
        serving=Serving(table, upstreams, clock) if options.serving_proxy else None,
        rights=delegation.reviews if delegation and options.authorization == "cluster" else None,
    )


def _urls(table: Table, options: Options) -> Callable[[str], str]:
    known = {name: options.upstream_of(name, each.port) for name, each in table.manifests.items()}
    if options.node_url:
        known[NODE] = options.node_url.rstrip("/")

    def url_of(service: str) -> str:
        namespace, slash, name = service.partition("/")
        if slash:
            return options.predictor_url.format(namespace=namespace, name=name).rstrip("/")
        if service not in known:
            raise NotFound("the built-in kinds are not served here: MILLSTREAM_NODE_URL is not set")
        return known[service]

    return url_of


def _fetch() -> Callable[[str], Awaitable[str]]:
    """Reads a key set from its URL, in a thread: it is rare and must not hold the door."""

    def read(url: str) -> str:
        from urllib.request import urlopen

        if not url.startswith(("http://", "https://")):
            raise OSError(f"{url} is neither http nor https")
        with urlopen(url, timeout=5) as answer:
            return str(answer.read(1 << 20).decode())

    async def fetch(url: str) -> str:
        return await asyncio.to_thread(read, url)

    return fetch


def _text(value: str | None, variable: str) -> str:
    """A setting that is a text or the path of a file that holds it."""
    if not value:
        raise Refused(f"{variable} is not set")
    if "BEGIN" in value or not value.startswith(("/", "./", "../")):
        return value
    try:
        return Path(value).read_text()
    except OSError as error:
        raise Refused(f"{variable}: {value}: {error.strerror}") from error
