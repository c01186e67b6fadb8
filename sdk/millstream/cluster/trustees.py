"""Tells the cluster's API server which authority the aggregated services' certificates are signed by; nobody else."""

from __future__ import annotations

import base64
from collections.abc import Callable

from libs.base.errors import ApiError, MethodNotAllowed, NotFound
from libs.cluster import Cluster, Resource

APISERVICE = Resource("apiregistration.k8s.io", "v1", "apiservices", False, "APIService")
OURS = "app.kubernetes.io/part-of=millstream"


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
