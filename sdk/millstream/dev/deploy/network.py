"""Who may talk to a service and to whom it may talk, as a NetworkPolicy: all of it follows from its manifest."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from string import Template
from textwrap import indent

from libs.service.manifest import Manifest
from millstream.dev.deploy.texts import GATEWAY, about, calls_the_cluster, data, fill


def policy(manifest: Manifest) -> str:
    rules = data("rules")
    return fill(
        "networkpolicy",
        **about(manifest),
        ingress=_text(manifest, rules["ingress"], _comers(manifest)),
        egress=_text(manifest, rules["egress"], _goals(manifest)).rstrip("\n"),
    )


def _text(manifest: Manifest, rules: dict[str, str], names: Iterable[str]) -> str:
    text = "".join(indent(rules[name], "    ") for name in names)
    return Template(text).substitute(about(manifest))


def _comers(manifest: Manifest) -> Iterator[str]:
    if manifest.name == GATEWAY:
        yield "door"
    else:
        yield "inside"
        if manifest.self_authenticated:
            yield "workloads"
    yield "aggregated"


def _goals(manifest: Manifest) -> Iterator[str]:
    door = manifest.name == GATEWAY
    yield "dns"
    if calls_the_cluster(manifest):
        yield "cluster"
    yield from (need for need in ("bus", "store", "blobs") if need in manifest.needs)
    if door:
        yield from ("services", "predictors")
