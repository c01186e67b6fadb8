"""`python -m millstream.cluster.rotate WHAT STEP`: changes a key or password of a running platform, step by step.

announce: the next one is accepted too. switch: it is used. retire: the former is refused. A step changes one Secret,
from which the bootstrap makes all others; then this program tells what to run and to restart before the next step. With
two replicas of everything no request and no event is lost.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Mapping, Sequence
from itertools import pairwise

from libs.base.clock import Clock, SystemClock
from libs.base.errors import MillstreamError
from millstream.cluster.certificates import CA, authority_of, texts_of
from millstream.cluster.everything import LEDGER
from millstream.cluster.options import add_place
from millstream.cluster.rotation import AUTHORITY, STEPS, SUBJECTS, authority_step, rotated
from millstream.cluster.vault import Texts, Vault, connected
from millstream.errors import ClientError

ALL, GATEWAY = "deployment", "deployment gateway"
RESTARTS: Mapping[tuple[str, str], str] = {
    ("identity", "announce"): ALL,
    ("identity", "switch"): GATEWAY,
    ("identity", "retire"): ALL,
    ("nats", "switch"): ALL,
    ("postgres", "switch"): ALL,
    ("s3", "switch"): ALL,
    ("token", "switch"): GATEWAY,
}
ENGINES: Mapping[str, str] = {"nats": "nats", "s3": "s3", AUTHORITY: "nats"}
"""Whose pods the bootstrap replaces when their configuration has changed."""


def main(arguments: Sequence[str], environ: Mapping[str, str]) -> int:
    """One step; 0, 1 when it is not this step's turn or the cluster refuses, 2 for words that it does not know."""
    parser = argparse.ArgumentParser(
        prog="python -m millstream.cluster.rotate",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("what", choices=SUBJECTS)
    parser.add_argument("step", choices=STEPS)
    add_place(parser, environ)
    found = parser.parse_args(arguments)
    try:
        asyncio.run(_connected(found.kubeconfig, found.namespace, found.what, found.step))
    except (MillstreamError, ClientError, OSError) as error:
        print(f"rotate: {error}", file=sys.stderr)
        return 1
    print("next:", *advice(found.what, found.step, found.namespace), sep="\n  ")
    return 0


async def _connected(kubeconfig: str | None, namespace: str, what: str, step: str) -> None:
    clock = SystemClock()
    cluster = await connected(kubeconfig, clock)
    try:
        await rotate(Vault(cluster, namespace, lambda line: print(line, flush=True)), what, step, clock)
    finally:
        await cluster.close()


async def rotate(vault: Vault, what: str, step: str, clock: Clock) -> None:
    """Takes the step. Raises ClientError when it is not the step's turn."""
    name = CA if what == AUTHORITY else LEDGER
    if await vault.read(name) is None:
        raise ClientError(f"there is no Secret {name}: this cluster has not been bootstrapped")

    def change(before: Texts | None) -> Texts:
        if what != AUTHORITY:
            return rotated(before or {}, what, step)
        return texts_of(authority_step(step)(authority_of(before or {}), clock.now()))

    await vault.revise(name, change, always=what != AUTHORITY)


def advice(what: str, step: str, namespace: str) -> list[str]:
    """What a person does before the next step."""
    do, job = f"kubectl -n {namespace}", f"rotate-{what}-{step}"
    lines = [f"{do} create job {job} --from=cronjob/bootstrap"]
    lines.append(f"{do} wait --for=condition=Complete job/{job} --timeout=5m")
    if engine := ENGINES.get(what):
        lines.append(f"{do} rollout status statefulset {engine}")
    if deployments := RESTARTS.get((what, step)):
        lines += [f"{do} rollout restart {deployments}", f"{do} rollout status {deployments}"]
    following = dict(pairwise(STEPS)).get(step)
    if following and what != "token":
        lines.append(f"python -m millstream.cluster.rotate {what} {following}")
    return lines


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
