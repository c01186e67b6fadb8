"""The broker's configuration of one home: a NATS user per service whose permissions come from its manifest."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from libs.service.manifest import Manifest

EVENTS = "millstream"
DEAD = "millstream-dead"
PERSON = "person"
"""The user of the home's owner and of the programs they run: it may say every command and hear everything."""


def subjects_said(manifest: Manifest) -> list[str]:
    """Subjects a service may publish: its own events, answers of its JetStream API calls, acks and dead letters."""
    said = [f"millstream.{kind}.*" for kind in manifest.says]
    api = ["$JS.API.INFO", "$JS.API.STREAM.>", "$JS.API.CONSUMER.>", "$JS.API.DIRECT.>", "$JS.ACK.>", "$JS.FC.>"]
    return [*said, *api, "dead.>", "_INBOX.>"]


def permissions(manifest: Manifest) -> dict[str, Any]:
    """NATS permissions of one service: it hears through JetStream pulls alone, so it subscribes to inboxes only."""
    return {"publish": {"allow": subjects_said(manifest)}, "subscribe": {"allow": ["_INBOX.>"]}}


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
