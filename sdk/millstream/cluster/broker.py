"""The broker's configuration on a cluster, one server or several: users as on a laptop; it makes no password."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from libs.service.manifest import Manifest
from millstream.brokerconf import Login, settings, users

NAME = "nats"
CLIENT, ROUTE, MONITOR = 4222, 6222, 8222
SINGLE_STORE, CLUSTER_STORE = 4 << 30, 16 << 30
"""Bytes, of volumes of 5 and 20 GiB (deploy/engines): JetStream stops to take messages before the disk is full."""
HANDSHAKE_S = 5


@dataclass(frozen=True)
class Peers:
    """The servers of one cluster: where each waits for the others, and the folder of tls.crt, tls.key and ca.crt."""

    hosts: Sequence[str]
    tls: str = "/etc/nats-tls"


def hosts(namespace: str, servers: int) -> list[str]:
    """The names of a StatefulSet's pods."""
    return [f"{NAME}-{number}.{NAME}.{namespace}.svc.cluster.local" for number in range(servers)]


def url(login: Login, namespace: str, servers: int) -> str:
    """What a client is told: one server by the Service's name, or all of a cluster, each with user and password."""
    user, password = login
    if servers == 1:
        return f"nats://{user}:{password}@{NAME}.{namespace}.svc.cluster.local:{CLIENT}"
    return ",".join(f"tls://{user}:{password}@{host}:{CLIENT}" for host in hosts(namespace, servers))


def config(manifests: Iterable[Manifest], logins: Mapping[str, Sequence[Login]], peers: Peers | None = None) -> str:
    """A nats-server file (JSON is valid in that format); name, address and store folder come as arguments."""
    known = users(manifests, logins)
    if peers is None:
        return json.dumps(settings(known, SINGLE_STORE), indent=1)
    return json.dumps({**settings(known, CLUSTER_STORE), **_clustered(peers)}, indent=1)


def _clustered(peers: Peers) -> dict[str, Any]:
    """Clients, monitoring page and routes in TLS; a route's two ends both show a certificate that is made for it."""
    own = {"cert_file": f"{peers.tls}/tls.crt", "key_file": f"{peers.tls}/tls.key", "timeout": HANDSHAKE_S}
    cluster = {
        "name": "millstream",
        "listen": f"0.0.0.0:{ROUTE}",
        "no_advertise": True,  # clients know all names; addresses of pods that are gone would only mislead them
        "routes": [f"tls://{host}:{ROUTE}" for host in peers.hosts],
        "tls": {**own, "ca_file": f"{peers.tls}/ca.crt", "verify": True},
    }
    return {
        "tls": {**own, "handshake_first": "auto"},
        "https_port": MONITOR,
        "cluster": cluster,
        "lame_duck_grace_period": "5s",
        "lame_duck_duration": "35s",
    }
