"""The broker's configuration of one home: a NATS user per service whose permissions come from its manifest."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
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


Login = tuple[str, str]
"""A NATS user name and its password."""


def users(manifests: Iterable[Manifest], logins: Mapping[str, Sequence[Login]]) -> list[dict[str, Any]]:
    """The `users` of a configuration: whoever of a service has more than one login may do the same with each.

    Raises KeyError for a service, or the person, without any.
    """
    services = [(permissions(m), logins[m.name]) for m in manifests if "bus" in m.needs]
    # The owner may replay dead letters, which publishes the original again under any subject.
    everything = {"publish": {"allow": [">"]}, "subscribe": {"allow": [">"]}}
    return [
        {"user": user, "password": password, "permissions": allowed}
        for allowed, known in [*services, (everything, logins[PERSON])]
        for user, password in known
    ]


def settings(users: Sequence[Mapping[str, Any]], file_store: int = 16 << 30) -> dict[str, Any]:
    """What every server of the platform is told, alone or one of many; `file_store` in bytes.

    `sync_interval: always`: an acknowledged event is on the disk. Address, port and store folder come as arguments.
    """
    return {
        "max_payload": 8 * 1024 * 1024,
        "jetstream": {"sync_interval": "always", "max_memory_store": 64 << 20, "max_file_store": file_store},
        "authorization": {"users": list(users)},
    }


def broker_config(manifests: Iterable[Manifest], passwords: Mapping[str, str]) -> str:
    """A nats-server file (JSON is valid in that format). Raises KeyError for a user without a password."""
    logins = {user: [(user, password)] for user, password in passwords.items()}
    return json.dumps({"server_name": "millstream", **settings(users(manifests, logins))}, indent=1)
