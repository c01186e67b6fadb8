"""`python -m services.node --home DIR`: the embedded one-machine Kubernetes of one home."""

import argparse
import asyncio
import gc
import os
import signal
import sys
from pathlib import Path

from services.node.adapters.manifests import apply_over_http
from services.node.adapters.place import PORT, Place, Taken
from services.node.app import Options, running, until_ended
from services.node.domain.attempts import Backoff
from services.node.reconcile.kinds import KINDS
from services.node.runtime.local import LocalRuntime, RuntimeConfig

ENVIRONMENTS = "MILLSTREAM_ENVIRONMENTS"


def options(argv: list[str]) -> Options:
    """The command line as options."""
    parser = argparse.ArgumentParser(prog="python -m services.node", description=__doc__)
    parser.add_argument("--home", type=Path, required=True, help="the folder that holds everything of this platform")
    parser.add_argument("--host", help="address of the API (default: the home's own loopback address)")
    parser.add_argument("--port", type=int, default=PORT)
    parser.add_argument("--apply", type=Path, action="append", default=[], help="manifests to apply at the start")
    parser.add_argument("--caddy-admin", help="unix socket or host:port of the edge's admin API")
    parser.add_argument("--backoff-first-s", type=float, default=10.0, help="wait before the second restart")
    parser.add_argument("--backoff-most-s", type=float, default=300.0)
    given = parser.parse_args(argv)
    backoff = Backoff(given.backoff_first_s, given.backoff_most_s)
    apply = tuple(path.absolute() for path in given.apply)
    home = given.home.absolute()
    return Options(home, given.host, given.port, apply, given.caddy_admin, backoff, backoff)


async def life(wanted: Options, command: tuple[str, ...]) -> None:
    """Runs until SIGTERM, SIGINT or the end of the platform; containers live on unless everything ends."""
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    place = Place(wanted.home)
    place.claim()
    runtime = await LocalRuntime.open(wanted.home, RuntimeConfig(node_command=command, environments=environments()))
    try:
        async with running(wanted, runtime, place):
            gc.collect()
            gc.freeze()  # what stays for ever is not looked through for garbage at each step of a pipeline
            await until_ended(ended, runtime.shutdown_ordered)
    finally:
        await runtime.close()


def environments() -> Path | None:
    """Where environments of images are kept for several homes together; a home of its own keeps its own."""
    named = os.environ.get(ENVIRONMENTS)
    return Path(named).absolute() if named else None


def main() -> None:
    """Exits 0 when it was asked to end or another node already runs in the home."""
    import uvloop

    os.umask(0o077)  # everything in the home is its owner's alone; the spawner and the fork servers inherit it
    wanted = options(sys.argv[1:])
    command = (sys.executable, "-m", "services.node", *sys.argv[1:])
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(life(wanted, command))
    except Taken:
        hand_over(wanted)


def hand_over(wanted: Options) -> None:
    """Lets the node that runs already apply the manifests."""
    place, token = Place(wanted.home), wanted.home / "token"
    url = place.living_url()
    if url is None or not token.exists():
        print(f"another node is starting in {wanted.home}", file=sys.stderr)
        return
    for path in wanted.apply:
        for problem in apply_over_http(url, token.read_text().strip(), KINDS, path):
            print(f"not applied: {problem}", file=sys.stderr)


if __name__ == "__main__":
    main()
