"""From the first listen to the last answer: REST is up at once (live, not ready), ready comes when all protocols are.

On SIGTERM the process first turns unready and keeps serving for `drain_seconds`, because routing learns of it late;
then it stops accepting and finishes what is in flight.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import uvicorn

from services.serving.workloads.model_server import frameworks
from services.serving.workloads.model_server.engine import Engine
from services.serving.workloads.model_server.failure import BAD_ARGUMENTS, StartFailure
from services.serving.workloads.model_server.fetch import fetch
from services.serving.workloads.model_server.http import application
from services.serving.workloads.model_server.model import Model

log = logging.getLogger("millstream.model_server")


@dataclass(frozen=True)
class Options:
    """The command line; sizes in bytes, times in seconds, port 0 takes a free one."""

    model_name: str
    storage_uri: str
    format: str
    model_version: str = "1"
    host: str = "127.0.0.1"
    http_port: int = 8080
    grpc_port: int = 8081
    threads: int = 1
    drain_seconds: float = 3.0
    grace_seconds: float = 20.0
    max_body_bytes: int = 64 << 20
    max_model_bytes: int = 16 << 30


class _Http(uvicorn.Server):
    """uvicorn without its own signal handling: a SIGTERM must not stop the listening before the drain is over."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def serve(options: Options, environ: Mapping[str, str]) -> None:
    """Run until SIGTERM or SIGINT; raises StartFailure when there is nothing to serve."""
    engine = Engine(options.model_name, options.model_version, options.threads)
    frameworks.framework(options.format)
    stop = _stop_signal()
    http = _Http(_config(engine, options))
    with tempfile.TemporaryDirectory(prefix="model-", ignore_cleanup_errors=True) as folder:
        serving = asyncio.create_task(_listen(http, options))
        loading = asyncio.create_task(_load(engine, options, environ, Path(folder)))
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait({serving, loading, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if serving.done():
            await serving
        rpc = await loading if loading.done() else None
        await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
        await _drain(engine, http, serving, rpc, options)


def _stop_signal() -> asyncio.Event:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop


def _config(engine: Engine, options: Options) -> uvicorn.Config:
    return uvicorn.Config(
        application(engine, options.max_body_bytes),
        host=options.host,
        port=options.http_port,
        access_log=False,
        log_level="warning",
        lifespan="off",
        timeout_keep_alive=75,
        timeout_graceful_shutdown=int(options.grace_seconds),
    )


async def _listen(http: uvicorn.Server, options: Options) -> None:
    try:
        await http.serve()
    except SystemExit as error:  # how uvicorn says that it cannot bind
        raise StartFailure(BAD_ARGUMENTS, f"cannot listen on {options.host}:{options.http_port}") from error


async def _load(engine: Engine, options: Options, environ: Mapping[str, str], folder: Path):  # type: ignore[no-untyped-def]
    """Load the model in a thread while gRPC is imported and bound in another; ready when both are."""
    model, rpc = await asyncio.gather(
        asyncio.to_thread(_fetch_and_load, options, environ, folder), _start_rpc(engine, options)
    )
    engine.model, engine.grpc_up = model, True
    log.info("serving %s %s from %s", options.format, options.model_name, options.storage_uri)
    return rpc


def _fetch_and_load(options: Options, environ: Mapping[str, str], folder: Path) -> Model:
    path = fetch(options.storage_uri, folder, environ, options.max_model_bytes)
    return frameworks.load(options.format, path, options.threads)


async def _start_rpc(engine: Engine, options: Options):  # type: ignore[no-untyped-def]
    rpc = await asyncio.to_thread(_import_rpc)
    try:
        server, port = await rpc.start(engine, options.host, options.grpc_port, options.max_body_bytes)
    except (OSError, RuntimeError) as error:
        raise StartFailure(BAD_ARGUMENTS, f"gRPC: {error}") from error
    log.info("gRPC on %s:%s", options.host, port)
    return server


def _import_rpc():  # type: ignore[no-untyped-def]
    """gRPC takes longer to import than all the rest; a probe is answered meanwhile."""
    from services.serving.workloads.model_server import rpc

    return rpc


async def _drain(engine: Engine, http: uvicorn.Server, serving, rpc, options: Options) -> None:  # type: ignore[no-untyped-def]
    engine.draining = True
    if engine.loaded and not serving.done():
        await asyncio.sleep(options.drain_seconds)
    http.should_exit = True
    await asyncio.gather(serving, rpc.stop(options.grace_seconds) if rpc else asyncio.sleep(0))
    engine.close()
