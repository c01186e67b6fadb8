"""`millstream pipeline cache-push|cache-export|cache-import`: finished steps of one platform, reused on another."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from millstream.cli.options import Home, Namespace, connect
from millstream.cli.show import BAD, out
from millstream.errors import ClientError

if TYPE_CHECKING:
    from millstream.client import Client
    from millstream.pipelines.sharing import Tally

Run = Annotated[str, typer.Argument(help="A run's id or its name; with --all none")]
All = Annotated[bool, typer.Option("--all", help="Everything that the namespace keeps")]
Called = Annotated[str, typer.Option("--called", help="What the other side calls this platform [this machine's name]")]
Archive = Annotated[Path, typer.Argument(help="The archive, a .tar")]


def cache_push(
    to: Annotated[str, typer.Option("--to", help="The other platform: its URL, or its home folder on this machine")],
    run: Run = "",
    all: All = False,
    token: Annotated[
        str, typer.Option("--token", envvar="MILLSTREAM_TO_TOKEN", help="Who you are there, for a URL")
    ] = "",
    ca: Annotated[Path | None, typer.Option("--ca", help="The certificate that the URL is trusted by")] = None,
    to_namespace: Annotated[str, typer.Option("--to-namespace", help="The namespace there [the same]")] = "",
    called: Called = "",
    namespace: Namespace = "default",
    home: Home = None,
) -> None:
    """Take finished steps to another platform, so that runs there need not do them again."""
    from millstream.pipelines import sharing

    with connect(home) as source, _other(to, token, ca) as target:
        id = _run(source, run, all, namespace, "its id or name")
        tally = sharing.push(source, namespace, id, _name(called), target, to_namespace or namespace)
        print_tally_of(run, "sent", tally)


def cache_export(
    archive: Archive,
    run: Annotated[str, typer.Option("--run", help="A run's id or its name")] = "",
    all: All = False,
    called: Called = "",
    namespace: Namespace = "default",
    home: Home = None,
) -> None:
    """Write finished steps into an archive, for a platform that this machine does not reach."""
    from millstream.pipelines import sharing

    with connect(home) as source:
        id = _run(source, run, all, namespace, "--run")
        print_tally_of(run, "written", sharing.export(source, namespace, id, _name(called), archive))


def cache_import(archive: Archive, namespace: Namespace = "default", home: Home = None) -> None:
    """Bring the finished steps of an archive here."""
    from millstream.pipelines import sharing

    with connect(home) as target:
        print_tally("brought", sharing.bring(archive, target, namespace))


def print_tally(verb: str, tally: Tally) -> None:
    out.print(f"{tally.sent} results {verb} ({tally.size / 1e6:.1f} MB), {tally.known} were there already")
    if tally.gone:
        names = ", ".join(sorted(set(tally.gone)))
        out.print(f"{len(tally.gone)} left out, their bytes are gone or changed: {names}", style=BAD, markup=False)


def print_tally_of(run: str, verb: str, tally: Tally) -> None:
    """Of one run: that there was nothing to take is no success, and has nothing to do with the other side."""
    if run and not (tally.sent or tally.known or tally.gone):
        raise ClientError(f"nothing is kept of {run!r}: none of its steps succeeded, or they ran without the cache")
    print_tally(verb, tally)


def _run(source: Client, word: str, all: bool, namespace: str, option: str) -> str:
    from millstream.pipelines import runs

    if bool(word) == all:
        raise ClientError(f"say which run's steps are meant ({option}), or --all")
    return str(runs.find(source, word, namespace)["run_id"]) if word else ""


def _other(to: str, token: str, ca: Path | None) -> Any:
    from millstream.client import Client

    if "://" not in to:
        return connect(Path(to))
    return Client(to, token or None, ca)


def _name(called: str) -> str:
    return called or socket.gethostname()


COMMANDS = {"cache-push": cache_push, "cache-export": cache_export, "cache-import": cache_import}
