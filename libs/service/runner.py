"""Runs a service as a process: environment in, HTTP on a socket, signals to a graceful end; nothing else does."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager, suppress
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar

from libs.base.clock import Clock, SystemClock
from libs.base.errors import MillstreamError, Unavailable
from libs.base.settings import Settings
from libs.service.app import App, Given
from libs.service.asgi import ASGIApp
from libs.service.farewell import Farewell
from libs.service.shell import serve

if TYPE_CHECKING:
    import ssl

    import uvicorn

    from libs.service.delegation import Delegation

KEEP_ALIVE_S = 75
"""Longer than the gateway keeps an idle connection, so that it never writes into one that we are closing."""
DRAIN_S = 8
"""How long requests under way may take to end; below a pod's usual grace of 30 s."""
ASK_AGAIN_S = 2.0
"""How often `migrate --wait` looks whether the database is there."""


class Hosted(Protocol):
    """Something that answers HTTP and can be told that its end is near.

    `front` tells who asks on the TLS listener; without it there is none, whatever the settings say.
    """

    asgi: ASGIApp
    front: Delegation | None

    def begin_stop(self) -> None: ...


S = TypeVar("S", bound=Settings)


def run(build: Callable[[], App], *, given: Given | None = None, argv: Sequence[str] | None = None) -> None:
    """What `python -m services.<name>` does: the life of the process, or with `migrate` only that.

    Exits 0 after SIGTERM or SIGINT, 1 with one clear line if it cannot start, 2 for arguments that it does not know.
    """
    app = build()
    run_hosted(
        lambda: settings_of(app, os.environ),
        lambda settings: serve(app, settings, given),
        argv=argv,
        migrate=lambda settings, wait_s: migrate(app, settings, wait_s=wait_s),
    )


async def nothing_to_migrate(settings: Settings, wait_s: float = 0) -> str:
    """For what keeps no store."""
    return f"{settings.service} keeps no store: nothing to migrate"


def run_hosted(
    settings: Callable[[], S],
    open_: Callable[[S], AbstractAsyncContextManager[Hosted]],
    *,
    argv: Sequence[str] | None = None,
    migrate: Callable[[S, float], Coroutine[Any, Any, str]] = nothing_to_migrate,
) -> None:
    """The same for what is no App."""
    order = _order(sys.argv[1:] if argv is None else argv)
    import uvloop

    try:
        if order.migrate:
            print(asyncio.run(migrate(settings(), order.wait_s)))
            return
        found = settings()
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_life(found, open_))
    except (MillstreamError, OSError) as error:
        print(f"cannot start: {error}", file=sys.stderr)
        raise SystemExit(1) from error


class _Order(NamedTuple):
    """What the command line asks for: the life of the service, or the migration alone."""

    migrate: bool = False
    wait_s: float = 0


def _order(argv: Sequence[str]) -> _Order:
    """Answers --help and refuses what it does not know by itself."""
    if not argv:
        return _Order()
    import argparse

    module = (getattr(sys.modules["__main__"], "__package__", "") or "services.<name>").strip()
    parser = argparse.ArgumentParser(
        prog=f"python -m {module}",
        description="Run the service until SIGTERM; what it needs to know stands in MILLSTREAM_* variables.",
    )
    parser.add_argument(
        "order", nargs="?", choices=["migrate"],
        help="only bring the tables of MILLSTREAM_STORE_URL up to date, then exit; safe to run by several at once",
    )  # fmt: skip
    parser.add_argument(
        "--wait", type=float, default=0, metavar="SECONDS",
        help="with migrate: how long to wait for a database that cannot be reached yet (default: not at all)",
    )  # fmt: skip
    asked = parser.parse_args(argv)
    return _Order(asked.order == "migrate", asked.wait)


async def migrate(app: App, settings: Settings, *, wait_s: float = 0, clock: Clock | None = None) -> str:
    """Brings the app's tables up to date; one line that says what was done. Raises what Store.open does.

    A database that does not answer is asked again for `wait_s` seconds: in a new cluster it comes up beside us.
    """
    from libs.store.engines import database
    from libs.store.migrate import migrate as bring_up

    if "store" not in app.manifest.needs:
        return await nothing_to_migrate(settings)
    clock = clock or SystemClock()
    until, said = clock.monotonic() + wait_s, ""
    while True:
        try:
            changed = await bring_up(database(settings.store_url), [app.migrations] if app.migrations else [])
            break
        except Unavailable as error:
            if clock.monotonic() >= until:
                raise
            if str(error) != said:
                said = str(error)
                print(f"waiting: {said}", file=sys.stderr, flush=True)
            await clock.sleep(ASK_AGAIN_S)
    return f"{app.manifest.name}: the tables are {'now' if changed else 'already'} up to date"


def settings_of(app: App, environ: Mapping[str, str]) -> Settings:
    """The app's settings; the manifest's name always, its port unless the environment names one."""
    given: dict[str, Any] = {} if environ.get("MILLSTREAM_PORT") else {"port": app.manifest.port}
    return app.settings.from_env(environ, service=app.manifest.name, **given)


async def _life(settings: S, open_: Callable[[S], AbstractAsyncContextManager[Hosted]]) -> None:
    ending = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ending.set)
    async with open_(settings) as service:
        farewell = Farewell(service.asgi, SystemClock())
        async with listen(farewell, settings.host, settings.port), _aggregated(farewell, settings, service.front):
            gc.collect()
            gc.freeze()
            await ending.wait()
            await farewell.say(settings.linger_s)
            service.begin_stop()


@asynccontextmanager
async def _aggregated(app: ASGIApp, settings: Settings, front: Delegation | None) -> AsyncIterator[None]:
    if not settings.tls_port or front is None:
        yield
        return
    from libs.service.tls import Files, listen_tls

    files = Files(settings.tls_cert_file, settings.tls_key_file)
    async with listen_tls(app, settings.host, settings.tls_port, files, front, SystemClock()):
        yield


@asynccontextmanager
async def listen(app: ASGIApp, host: str, port: int) -> AsyncIterator[str]:
    """Serves `app` over HTTP/1.1 and gives its base URL; port 0 takes a free one. Ends when requests under way have."""
    bound = bind(host, port)
    async with listen_on(app, bound, beside=inside_the_pod(bound.getsockname())) as address:
        yield f"http://{address}"


@asynccontextmanager
async def listen_on(
    app: ASGIApp,
    bound: socket.socket,
    context: ssl.SSLContext | None = None,
    *,
    beside: Sequence[socket.socket] = (),
) -> AsyncIterator[str]:
    """The same on a bound socket, and others, all of which it closes; with a context over TLS. Gives host and port of
    the first as one text."""
    up, ending = asyncio.Event(), asyncio.Event()
    server = _server(app, up, ending)
    if context is not None:
        from libs.service.tls import secure

        secure(server.config, context)
    serving = asyncio.create_task(server.serve(sockets=[bound, *beside]))
    try:
        starting = asyncio.create_task(up.wait())
        await asyncio.wait({serving, starting}, return_when=asyncio.FIRST_COMPLETED)
        starting.cancel()
        address = bound.getsockname()
        yield f"{address[0]}:{address[1]}"
    finally:
        server.should_exit = True
        ending.set()
        await serving


def inside_the_pod(address: tuple[Any, ...]) -> list[socket.socket]:
    """The loopback address on the same port, beside a pod's own address: `kubectl port-forward` comes from there."""
    own = ip_address(address[0])
    if own.is_loopback or own.is_unspecified:
        return []
    try:
        return [bind("127.0.0.1", address[1])]
    except OSError:  # not a pod of its own, or no IPv4 in it: then nothing is forwarded
        return []


def bind(host: str, port: int) -> socket.socket:
    """A socket that does not listen yet. Raises OSError naming the address."""
    bound = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
    except OSError as error:
        bound.close()
        raise OSError(f"{host}:{port} is taken or not ours: {error.strerror}") from error
    bound.set_inheritable(False)
    return bound


def _server(app: ASGIApp, up: asyncio.Event, ending: asyncio.Event) -> uvicorn.Server:
    import uvicorn

    class Server(uvicorn.Server):
        @contextmanager
        def capture_signals(self) -> Iterator[None]:
            """Signals end the whole service, in `_life`; HTTP is only a part of it."""
            yield

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            up.set()

        async def main_loop(self) -> None:
            """Once a second, for the Date header, instead of ten times: an idle service should sleep. Ends at once."""
            while not await self.on_tick(0):
                with suppress(TimeoutError):
                    await asyncio.wait_for(ending.wait(), 1.0)

    config = uvicorn.Config(
        app,
        http="httptools",
        ws="none",
        lifespan="off",
        access_log=False,
        log_config=None,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=DRAIN_S,
    )
    return Server(config)
