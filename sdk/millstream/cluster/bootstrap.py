"""`python -m millstream.cluster.bootstrap`: makes what a cluster's platform needs and no manifest holds.

Keys, passwords, certificates, databases; renews certificates in time. Safe at any moment and twice at once: what is
there stays, what is missing is made. Prints a line for each thing it looks after, never a secret.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence

from libs.base.clock import Clock, SystemClock
from libs.base.errors import MillstreamError
from libs.cluster import Cluster
from millstream.cluster.everything import Everything, shipped
from millstream.cluster.options import Options, options, parse
from millstream.errors import ClientError

EXITS = "exit codes: 0 all is there; 1 something is missing, and stderr says what; 2 a word that it does not know"


def main(arguments: Sequence[str], environ: Mapping[str, str]) -> int:
    """One pass; the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m millstream.cluster.bootstrap",
        description=__doc__,
        epilog=EXITS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    return run(options(parse(parser, arguments, environ)), lambda everything: everything.ensure())


def run(told: Options, work: Callable[[Everything], Awaitable[None]], clock: Clock | None = None) -> int:
    """Does `work` with the cluster that `told` names, and answers the exit code."""
    try:
        asyncio.run(_connected(told, work, clock or SystemClock()))
    except (MillstreamError, ClientError, OSError) as error:
        print(f"bootstrap: {error}", file=sys.stderr)
        return 1
    return 0


async def _connected(told: Options, work: Callable[[Everything], Awaitable[None]], clock: Clock) -> None:
    cluster = await Cluster.connect(told.kubeconfig, clock=clock)
    try:
        await work(Everything(cluster, shipped(), told, clock, lambda line: print(line, flush=True)))
    finally:
        await cluster.close()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
