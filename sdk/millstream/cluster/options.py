"""What the bootstrap is told, by arguments or by the ConfigMap millstream-bootstrap; it decides nothing itself."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

PREFIX = "MILLSTREAM_BOOTSTRAP_"
SERVERS = {"single": 1, "cluster": 3}
CHOICES: Mapping[str, tuple[tuple[str, ...], str]] = {
    "nats": (("single", "cluster", "external"), "the broker: one server, three in a cluster, or somebody else's"),
    "postgres": (("internal", "external"), "external: the Secret millstream-postgres holds a URL per service"),
    "s3": (("internal", "external"), "external: the Secret millstream-s3 holds endpoint, keys and bucket"),
    "apis": (("own", "aggregated"), "aggregated: the services' kinds are part of the cluster's API, by APIServices"),
    "certificates": (("self-signed", "off"), "off: somebody else, such as cert-manager, makes the certificates"),
}


@dataclass(frozen=True)
class Options:
    """Which engines the cluster has and who makes its certificates; how long to wait for others, in s."""

    namespace: str = "millstream-system"
    nats: str = "single"
    postgres: str = "internal"
    s3: str = "internal"
    apis: str = "own"
    certificates: str = "self-signed"
    kubeconfig: str | None = None
    postgres_at: str | None = None
    wait_s: float = 300.0

    @property
    def servers(self) -> int:
        """How many servers the broker has."""
        return SERVERS[self.nats]


def add_place(parser: argparse.ArgumentParser, environ: Mapping[str, str]) -> None:
    """Which cluster and which namespace; outside of a pod the kubeconfig that kubectl would read."""
    usual = Path(environ.get("HOME", "/")) / ".kube" / "config"
    found = environ.get("KUBECONFIG") or ("" if "KUBERNETES_SERVICE_HOST" in environ else str(usual))
    parser.add_argument("--namespace", default=environ.get("MILLSTREAM_NAMESPACE") or Options.namespace)
    parser.add_argument("--kubeconfig", default=found or None, help=f"default: {found or 'the account of this pod'}")


def add_arguments(parser: argparse.ArgumentParser, environ: Mapping[str, str]) -> None:
    """Every choice as an option whose default is the environment's word."""
    add_place(parser, environ)
    for name, (words, why) in CHOICES.items():
        told = environ.get(PREFIX + name.upper()) or words[0]
        if told not in words:
            parser.error(f"{PREFIX}{name.upper()} is {told!r}: choose from {', '.join(words)}")
        parser.add_argument(f"--{name}", choices=words, default=told, help=f"{why} (default: {told})")
    parser.add_argument(
        "--postgres-at", metavar="HOST:PORT", help="where the administrator reaches it, if not by its Service's name"
    )
    parser.add_argument(
        "--wait", type=float, default=Options.wait_s, help="seconds to wait for what comes up beside it"
    )


def parsed(parser: argparse.ArgumentParser, arguments: Sequence[str], environ: Mapping[str, str]) -> Options:
    """The options; ends the process with 2 for words that it does not know."""
    add_arguments(parser, environ)
    found = parser.parse_args(arguments)
    return Options(
        namespace=found.namespace,
        nats=found.nats,
        postgres=found.postgres,
        s3=found.s3,
        apis=found.apis,
        certificates=found.certificates,
        kubeconfig=found.kubeconfig,
        postgres_at=found.postgres_at,
        wait_s=found.wait,
    )
