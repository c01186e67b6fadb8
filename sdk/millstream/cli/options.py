"""Options that several commands share, and the client they lead to."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from millstream.errors import ClientError
from millstream.home import SYSTEM_NAMESPACE, default_home
from millstream.home import Home as HomeFolder

Home = Annotated[
    Path | None, typer.Option("--home", envvar="MILLSTREAM_HOME", help="The platform's home folder [~/.millstream]")
]
Namespace = Annotated[str, typer.Option("--namespace", "-n", help="The namespace")]
RunWord = Annotated[str, typer.Argument(metavar="RUN", help="A run's id, how it begins, or its name")]
AllNamespaces = Annotated[bool, typer.Option("--all-namespaces", "-A", help="In all namespaces")]


def folder(home: Path | None) -> HomeFolder:
    """The home folder that the user means."""
    return HomeFolder(home.absolute() if home else default_home())


def connect(home: Path | None):  # type: ignore[no-untyped-def]
    """A client of that home's gateway."""
    from millstream.client import Client

    return Client.from_home(folder(home).path)


def connect_for(home: Path | None, namespace: str):  # type: ignore[no-untyped-def]
    """The same; for the platform's own namespace one of its node, which answers while the gateway does not."""
    from millstream.platform import node_client

    node = node_client(folder(home)) if namespace == SYSTEM_NAMESPACE else None
    return node or connect(home)


def read_source(name: str) -> str:
    """The text of a file, or of standard input for `-`. Raises ClientError naming the file."""
    if name == "-":
        return sys.stdin.read()
    try:
        return Path(name).read_text()
    except OSError as error:
        raise ClientError(f"cannot read {name}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise ClientError(f"cannot read {name}: not UTF-8 text ({error})") from error
