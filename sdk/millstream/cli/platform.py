"""`up`, `down`, `status`, `kubeconfig`: the platform of one home."""

from __future__ import annotations

import signal
import threading
from typing import Annotated

import typer

from millstream.cli.options import Home, folder
from millstream.cli.show import out, plain_table
from millstream.errors import ClientError
from millstream.home import SYSTEM_NAMESPACE, Ports
from millstream.home import Home as HomeFolder


def up(
    home: Home = None,
    http: Annotated[int | None, typer.Option(help="Port of the http door on 127.0.0.1 [8080]")] = None,
    https: Annotated[int | None, typer.Option(help="Port of the https door on 127.0.0.1 [8443]")] = None,
    detach: Annotated[bool, typer.Option("--detach", "-d", help="Return as soon as it is ready")] = False,
    timeout: Annotated[float, typer.Option(help="Give up when it is not ready after so many seconds")] = 120,
) -> None:
    """Start the whole platform and print how to reach it. Safe to run again."""
    from millstream import platform as laptop

    place = folder(home)
    kept = place.ports()
    ports = Ports(http or kept.http, https or kept.https)
    if ports != kept and laptop.node_url(place) is not None:
        held = f"--http {kept.http} --https {kept.https}"
        raise ClientError(f"{place.path} runs with {held}: to change its ports, `{place.command('down')}` first")
    if laptop.is_behind(place):
        again = f"`{place.command('down')}`, then `{place.command('up')}`"
        out.print(f"[yellow]The code has changed since {place.path} was started:[/] {again} makes the new one run.")
    try:
        laptop.start(place, ports)
        laptop.wait_ready(place, timeout, progress=_progress)
        laptop.write_doors(place)
        out.print(laptop.doors(place))
        if not detach:
            out.print("\nCtrl-C stops everything; `--detach` would leave it running.")
            _until_asked_to_stop()
    except KeyboardInterrupt:
        if detach:
            raise ClientError(f"it goes on starting; `{place.command('down')}` ends it") from None
    if not detach:
        _stop(place)


def _until_asked_to_stop() -> None:
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    stop.wait()


def _stop(place: HomeFolder) -> None:
    """Of a half-started platform too; another Ctrl-C does not leave half of it behind."""
    from millstream import platform as laptop

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    out.print("\nstopping ...")
    laptop.stop(place)


def _progress(line: str) -> None:
    out.print(f"  {line}")


def down(
    home: Home = None,
    timeout: Annotated[float, typer.Option(help="Seconds before what is left is killed")] = 30,
) -> None:
    """Stop everything this home runs: services, jobs and all they started. Data stays."""
    from millstream import platform as laptop

    place = folder(home)
    if laptop.node_url(place) is not None:
        out.print(f"{place.path}: stopping ...")
    stopped = laptop.stop(place, timeout)
    out.print(f"{place.path}: stopped" if stopped else f"{place.path}: nothing was running")


def status(home: Home = None) -> None:
    """Show whether the platform runs, its services and where they listen.

    Ends with 0 when all of it is ready, with 1 when something is not, with 3 when it does not run.
    """
    from millstream import platform as laptop

    place = folder(home)
    rows = laptop.services(place)
    if rows is None:
        out.print(f"{place.path}: not running (`{place.command('up')}`)")
        raise typer.Exit(3)
    out.print(plain_table(["SERVICE", "READY", "STATUS", "RESTARTS", "ADDRESS"], rows))
    if troubles := laptop.unwell(place):
        _tell(place, troubles, rows)
        raise typer.Exit(1)
    out.print(f"\n{laptop.doors(place)}")


def _tell(place: HomeFolder, troubles: dict[str, str], rows: list[list[str]]) -> None:
    out.print("\n[bold red]Millstream is not ready[/] (it may still be starting):")
    for name, why in sorted(troubles.items()):
        out.print(f"  {name}: {why}", markup=False)
        for pod in (row[0] for row in rows if row[0].split("-")[0] == name):
            out.print(f"    its log: {place.command(f'logs {pod} -n {SYSTEM_NAMESPACE}')}", markup=False)


def kubeconfig(home: Home = None) -> None:
    """Print the kubeconfig of this home (the file `kubeconfig` in its folder)."""
    place = folder(home)
    if not place.kubeconfig.exists():
        raise ClientError(f"{place.path} was never started: run `{place.command('up')}`")
    print(place.kubeconfig.read_text(), end="")
