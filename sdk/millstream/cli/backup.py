"""`backup` and `restore`: everything a platform keeps into one archive and back; of a home, or of a cluster by URLs."""

from __future__ import annotations

import asyncio
import os
import signal
import tempfile
from collections.abc import Coroutine
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as version_of
from pathlib import Path
from typing import Annotated, Any

import typer

from millstream.cli.options import Home, folder
from millstream.cli.show import out
from millstream.errors import ClientError

Stores = Annotated[
    list[str] | None,
    typer.Option("--store", help="A cluster's: SERVICE=URL, once a service [MILLSTREAM_STORE_URL_SERVICE]"),
]
Nats = Annotated[str, typer.Option(help="A cluster's broker, as a user who may do everything [MILLSTREAM_NATS_URL]")]
S3 = Annotated[str, typer.Option(help="A cluster's object store [MILLSTREAM_S3_ENDPOINT and the keys beside it]")]
Replicas = Annotated[int, typer.Option(help="Copies of each stream, if other than in the backup")]


def backup(
    target: Annotated[Path, typer.Argument(help="The archive to write: a new folder, .tar or .tar.gz")],
    home: Home = None,
    claims: Annotated[bool, typer.Option(help="With the folders of PersistentVolumeClaims (a home's)")] = True,
    store: Stores = None,
    nats: Nats = "",
    s3: S3 = "",
) -> None:
    """Back the platform up while it runs: stores, streams, bucket and, of a home, claims, keys and passwords.

    The archive holds secrets and is readable by you alone. It appears under its name only when it is whole.
    """
    from libs.base.clock import SystemClock
    from libs.base.ids import SystemIds
    from millstream.backup.places import of_home
    from millstream.backup.take import take

    place, places = None, _cluster(store, nats, s3, 0)
    if places is None:
        place = folder(home)
        if not (place.path / "node" / "store.db").exists():
            raise ClientError(f"{place.path} keeps no platform: nothing to back up")
        places = of_home(place)
    goal = target.absolute()
    work = take(places, goal, home=place, claims=claims, clock=SystemClock(), ids=SystemIds(), version=_version(),
                tell=_tell)  # fmt: skip
    _run(work)
    out.print(f"{target}: whole. It holds secrets: keep it as you keep those.")


def restore(
    source: Annotated[Path, typer.Argument(help="The archive: what `millstream backup` wrote")],
    home: Home = None,
    force: Annotated[bool, typer.Option("--force", help="Also into a platform that is not empty")] = False,
    store: Stores = None,
    nats: Nats = "",
    s3: S3 = "",
    replicas: Replicas = 0,
    scratch: Annotated[
        Path | None, typer.Option(help="Where a .tar is unpacked [the system's folder for that]")
    ] = None,
) -> None:
    """Restore a backup into an empty platform. Safe to run again after it was interrupted.

    A home must not be running; of a cluster, scale the services to zero first. Start the platform afterwards.
    """
    from libs.base.clock import SystemClock
    from millstream.backup.archive import Reader
    from millstream.backup.homes import restore_home
    from millstream.backup.restore import restore as restore_places

    places = _cluster(store, nats, s3, replicas)
    with (
        tempfile.TemporaryDirectory(prefix="millstream-restore-", dir=scratch) as below,
        Reader.open(source.absolute(), Path(below) / "archive") as reader,
    ):
        _tell("verifying the archive")
        reader.verify()
        about = reader.manifest
        _tell(f"backup {about['id']} of {about['began']}, by millstream {about['millstream']}")
        if places is not None:
            _run(restore_places(reader, places, force=force, clock=SystemClock(), tell=_tell))
            out.print("restored: start the services again")
            return
        place = folder(home)
        aside = _run(restore_home(reader, place, force=force, clock=SystemClock(), tell=_tell))
    if aside is not None:
        out.print(f"what was there is now {aside}")
    out.print(f"restored: `millstream up --home {place.path}`")


def _cluster(stores: list[str] | None, nats: str, s3: str, replicas: int) -> Any:
    """The places that options or variables name, None where it is a home that is meant."""
    from millstream.backup.places import STORE_PREFIX, of_cluster

    pairs = [word.partition("=") for word in stores or ()]
    if wrong := [name for name, _, url in pairs if not url]:
        raise ClientError(f"--store {wrong[0]}: give SERVICE=URL, such as trainer=postgresql://host/trainer")
    if not (pairs or nats or s3 or any(name.startswith(STORE_PREFIX) for name in os.environ)):
        return None
    return of_cluster(os.environ, {name: url for name, _, url in pairs}, nats, s3, replicas)


def _run(work: Coroutine[Any, Any, Any]) -> Any:
    """Runs it; Ctrl-C and SIGTERM end it in good order, with nothing half-made left behind."""
    from libs.base.errors import MillstreamError
    from libs.blobs import BlobError

    async def main() -> Any:
        task = asyncio.ensure_future(work)
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
        return await task

    try:
        return asyncio.run(main())
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None
    except (MillstreamError, BlobError) as error:
        raise ClientError(str(error)) from error
    except OSError as error:
        raise ClientError(f"{error.filename or ''}: {error.strerror or error}") from error


def _version() -> str:
    try:
        return version_of("millstream")
    except PackageNotFoundError:
        return "unknown"


def _tell(line: str) -> None:
    out.print(f"  {line}", markup=False)
