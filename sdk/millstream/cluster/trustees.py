"""Tells the cluster's API server which authority the aggregated services' certificates are signed by; nobody else."""

from __future__ import annotations

import base64
from collections.abc import Callable, Collection

from libs.base.clock import Clock
from libs.base.errors import ApiError, MethodNotAllowed, NotFound
from libs.cluster import Cluster, Resource
from millstream.errors import ClientError

APISERVICE = Resource("apiregistration.k8s.io", "v1", "apiservices", False, "APIService")
OURS = "app.kubernetes.io/part-of=millstream"
LOOK_AGAIN_S = 1.0


async def wait(cluster: Cluster, expected: Collection[str], clock: Clock, wait_s: float) -> None:
    """Until every expected APIService is there to be told: one `kubectl apply` makes them and the job at any order.

    Raises ClientError naming what is missing after `wait_s`.
    """
    until = clock.monotonic() + wait_s
    while missing := set(expected) - {each["metadata"]["name"] for each in await cluster.list(APISERVICE, labels=OURS)}:
        if clock.monotonic() >= until:
            names = ", ".join(sorted(missing))
            raise ClientError(f"no APIService {names} after {wait_s:.0f} s: is component aggregated-apis applied?")
        await clock.sleep(LOOK_AGAIN_S)


async def ensure(cluster: Cluster, bundle: str, say: Callable[[str], None]) -> None:
    """Every APIService of the platform trusts `bundle` (PEM). A cluster without aggregation, such as a laptop's, is let
    be."""
    try:
        found = await cluster.list(APISERVICE, labels=OURS)
    except (NotFound, MethodNotAllowed):
        return say("kept     this API server aggregates no others")
    wanted = base64.b64encode(bundle.encode()).decode()
    for each in found:
        name = each["metadata"]["name"]
        if each["spec"].get("caBundle") == wanted:
            say(f"kept     APIService {name}")
            continue
        await _tell(cluster, name, wanted)
        say(f"changed  APIService {name}: caBundle")


async def _tell(cluster: Cluster, name: str, bundle: str) -> None:
    change = {"spec": {"caBundle": bundle, "insecureSkipTLSVerify": None}}
    try:
        await cluster.patch(APISERVICE, None, name, change)
    except NotFound:  # taken away meanwhile
        return
    except ApiError as error:
        raise type(error)(f"APIService {name}: {error.message}") from error
