"""Component cert-manager: a Certificate for each Secret that the bootstrap would else fill; the names are the same."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import yaml

from libs.service.manifest import Manifest
from millstream.cluster import authority, certificates
from millstream.cluster.options import Options

AUTHORITY = "millstream"
SERVE, DIAL = "server auth", "client auth"


def text(manifests: Iterable[Manifest], namespace: str) -> str:
    """One document a certificate; the broker's is for a cluster of brokers and lies unused beside a single one."""
    wanted = certificates.wanted(list(manifests), Options(namespace=namespace, nats="cluster"))
    return yaml.safe_dump_all([_certificate(*each) for each in wanted], sort_keys=False)


def _certificate(secret: str, names: list[str], peer: bool) -> dict[str, Any]:
    hours = int(authority.LEAF_LIFE.total_seconds() // 3600)
    return {
        "apiVersion": "cert-manager.io/v1",
        "kind": "Certificate",
        "metadata": {"name": secret, "labels": {"app.kubernetes.io/part-of": "millstream"}},
        "spec": {
            "secretName": secret,
            "issuerRef": {"name": AUTHORITY, "kind": "Issuer", "group": "cert-manager.io"},
            "commonName": names[0],
            "dnsNames": names,
            "duration": f"{hours}h",
            "renewBefore": f"{hours // 3}h",
            "usages": ["digital signature", SERVE, *([DIAL] if peer else [])],
            "privateKey": {"algorithm": "ECDSA", "size": 256, "rotationPolicy": "Always"},
        },
    }
