"""`python -m millstream.cluster.bootstrap`: makes what a cluster's platform needs and no manifest holds.

Keys, passwords, certificates, databases; renews certificates in time. Safe at any moment and twice at once: what is
there stays, what is missing is made. Prints a line for each thing it looks after, never a secret.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Mapping, Sequence

from libs.base.clock import SystemClock
from libs.base.errors import MillstreamError
from millstream.cluster.everything import Everything, shipped
from millstream.cluster.options import Options, parsed
from millstream.cluster.vault import connected
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
    told = parsed(parser, arguments, environ)
    try:
        asyncio.run(_connected(told))
    except (MillstreamError, ClientError, OSError) as error:
        print(f"bootstrap: {error}", file=sys.stderr)
        return 1
    return 0


async def _connected(told: Options) -> None:
    clock = SystemClock()
    cluster = await connected(told.kubeconfig, clock)
    try:
        await Everything(cluster, shipped(), told, clock, lambda line: print(line, flush=True)).ensure()
    finally:
        await cluster.close()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
