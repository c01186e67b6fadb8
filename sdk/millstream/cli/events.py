"""`millstream events`: follow what is said on the bus, say something, look after dead letters."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from millstream.cli.options import Home, folder, read_source
from millstream.cli.show import out, plain_table
from millstream.errors import ClientError

app = typer.Typer(help="Follow events, publish commands, look after dead letters.", no_args_is_help=True)
dead = typer.Typer(help="Messages that no handler could take: list, show, replay, discard.", no_args_is_help=True)
app.add_typer(dead, name="dead-letters")

Sequence = Annotated[int, typer.Argument(help="The dead letter's number, from `list`")]


def _with_bus(home: Path | None, use: Callable[[Any], Awaitable[Any]]) -> None:
    """Run `use` with a connection to the home's broker, or to that of MILLSTREAM_NATS_URL, as inside a cluster."""
    named = os.environ.get("MILLSTREAM_NATS_URL") if home is None else None
    ca_file = os.environ.get("MILLSTREAM_NATS_CA_FILE") if named else None
    url = named or folder(home).read_env().get("NATS_URL")
    if not url:
        raise ClientError(f"no broker is known: start the platform with `{folder(home).command('up')}`")

    async def main() -> None:
        from millstream.messages import connect

        async with asyncio.timeout(10):
            bus = await connect(url, ca_file)
        try:
            await use(bus)
        finally:
            await bus.close()

    try:
        asyncio.run(main())
    except TimeoutError as error:
        raise ClientError(f"the broker does not answer: see `{folder(home).command('status')}`") from error


@app.command()
def tail(
    filter: Annotated[str, typer.Argument(help="Event types, as a NATS wildcard: `training.>`, `*.*.failed.>`")] = ">",
    since: Annotated[str, typer.Option(help="Begin in the past: 10m, 2h, 1d; `all` for everything kept")] = "",
    data: Annotated[bool, typer.Option("--data", help="Print each letter whole, as JSON")] = False,
    home: Home = None,
) -> None:
    """Print events as they are said, until Ctrl-C."""
    start = _since(since)

    async def follow(bus: Any) -> None:
        from millstream.messages import letters

        async for letter in letters(bus, filter, start):
            print(json.dumps(letter) if data else _line(letter), flush=True)

    _with_bus(home, follow)


def _since(text: str) -> datetime | None:
    if not text:
        return None
    if text == "all":
        return datetime.fromtimestamp(0, UTC)
    units = {"s": 1, "m": 60, "h": 3600, "d": 86400}
    if text[-1] not in units or not text[:-1].isdigit():
        raise ClientError(f"--since {text!r}: give a number and s, m, h or d (10m), or `all`")
    return datetime.now(UTC) - timedelta(seconds=int(text[:-1]) * units[text[-1]])


def _line(letter: dict[str, Any]) -> str:
    return f"{letter['time']}  {letter['type']:<44} {letter.get('subject', '')}"


@app.command()
def publish(
    type: Annotated[
        str, typer.Argument(help="The type of a command or event: training.trainjob.apply.v1; or of your own system's")
    ],
    data: Annotated[str, typer.Argument(help="Its data as JSON; @FILE reads a file, - standard input")],
    namespace: Annotated[str, typer.Option("--namespace", "-n", help="The namespace")] = "default",
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Wait for the answer to an apply or a delete")] = True,
    home: Home = None,
) -> None:
    """Say something on the bus; the answer to an apply or a delete (applied, deleted or rejected) is printed."""
    from millstream import messages

    text = read_source(data.removeprefix("@")) if data == "-" or data.startswith("@") else data
    try:
        payload = json.loads(text)
    except ValueError as error:
        raise ClientError(f"data is not JSON: {error}") from error
    letter = messages.compose(type, payload, namespace)

    async def say(bus: Any) -> None:
        if not (wait and messages.is_answered(type)):
            await messages.publish(bus, letter)
            unknown = "" if messages.known(type) else " (an event of another system: its data is not checked)"
            out.print(f"published {letter.id}{unknown}")
            return
        answer = await messages.ask(bus, letter)
        out.print_json(json.dumps(answer))
        if answer["type"].endswith(".rejected.v1"):
            raise ClientError(f"rejected: {answer['data'].get('status', {}).get('message', '')}")

    _with_bus(home, say)


@dead.command("list")
def list_dead(limit: int = 50, home: Home = None) -> None:
    """List dead letters, newest last."""

    async def show(bus: Any) -> None:
        letters = await bus.dead_letters(limit)
        rows = [[str(d.seq), d.handler, str(d.attempts), d.subject, d.reason] for d in letters]
        out.print(
            plain_table(["NUMBER", "HANDLER", "ATTEMPTS", "SUBJECT", "REASON"], rows) if rows else "no dead letters"
        )

    _with_bus(home, show)


@dead.command()
def show(number: Sequence, home: Home = None) -> None:
    """Print one dead letter's original message."""

    async def one(bus: Any) -> None:
        found = [d for d in await bus.dead_letters(10_000) if d.seq == number]
        if not found:
            raise ClientError(f"there is no dead letter {number}; see `millstream events dead-letters list`")
        sys.stdout.write(found[0].data.decode(errors="replace") + "\n")

    _with_bus(home, one)


@dead.command()
def replay(number: Sequence, home: Home = None) -> None:
    """Say a dead letter's original message again and take it off the list."""
    _with_bus(home, lambda bus: _numbered(bus.replay, number))
    out.print(f"dead letter {number} replayed")


@dead.command()
def discard(number: Sequence, home: Home = None) -> None:
    """Take a dead letter off the list for good."""
    _with_bus(home, lambda bus: _numbered(bus.discard, number))
    out.print(f"dead letter {number} discarded")


async def _numbered(act: Callable[[int], Awaitable[Any]], number: int) -> None:
    try:
        await act(number)
    except KeyError as error:
        raise ClientError(f"there is no dead letter {number}; see `millstream events dead-letters list`") from error
