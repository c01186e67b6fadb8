"""The broker's configuration of one home: a NATS user per service whose permissions come from its manifest."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from libs.bus import inbox_prefix
from libs.service.manifest import Manifest

EVENTS = "millstream"
DEAD = "millstream-dead"
PERSON = "person"
"""The user of the home's owner and of the programs they run: it may say every command and hear everything."""


def subjects_said(manifest: Manifest) -> list[str]:
    """What a service may publish: its own events, its own dead letters, and what libs.bus asks of JetStream.

    That is: make and look at the two shared streams (never change, purge or delete them), make and look at its own
    durable consumer, pull from it, acknowledge. What a durable hears is in the body of the order that makes it, which
    NATS cannot judge: a service that breaks its word can hear what it should not, but say nothing in another's name.
    """
    said = [f"millstream.{kind}.*" for kind in manifest.says]
    streams = [f"$JS.API.STREAM.{verb}.{stream}" for stream in (EVENTS, DEAD) for verb in ("INFO", "CREATE")]
    if not manifest.hears:
        return [*said, *streams]
    own = f"{EVENTS}.{manifest.name}"
    verbs = ("DURABLE.CREATE", "CREATE", "INFO", "MSG.NEXT")
    consumer = [f"$JS.API.CONSUMER.{verb}.{own}" for verb in verbs]
    return [*said, *streams, *consumer, f"$JS.ACK.{own}.>", f"dead.{manifest.name}.>"]


def permissions(manifest: Manifest) -> dict[str, Any]:
    """NATS permissions of one service: it hears through JetStream pulls alone, into inboxes that no other can open."""
    inbox = inbox_prefix(manifest.name)
    return {"publish": {"allow": subjects_said(manifest)}, "subscribe": {"allow": [f"{inbox}.>"]}}


def broker_config(manifests: Iterable[Manifest], passwords: Mapping[str, str]) -> str:
    """A nats-server configuration file (JSON is valid in that format). Raises KeyError for a user without a password.

    `sync_interval: always`: an acknowledged event is on the disk. Address, port and store folder come as arguments.
    """
    users = [
        {"user": m.name, "password": passwords[m.name], "permissions": permissions(m)}
        for m in manifests
        if "bus" in m.needs
    ]
    # The owner may replay dead letters, which publishes the original again under any subject.
    everything = {"publish": {"allow": [">"]}, "subscribe": {"allow": [">"]}}
    users.append({"user": PERSON, "password": passwords[PERSON], "permissions": everything})
    return json.dumps(
        {
            "server_name": "millstream",
            "max_payload": 8 * 1024 * 1024,
            "jetstream": {"sync_interval": "always", "max_memory_store": 64 << 20, "max_file_store": 16 << 30},
            "authorization": {"users": users},
        },
        indent=1,
    )
