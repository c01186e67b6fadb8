"""What a row of a backup must become to be true of the platform that it is restored into; pure."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from libs.service.relay import IDENTITY_KEY
from millstream.home import SYSTEM_NAMESPACE

Row = dict[str, Any]
FINISHED = ("Succeeded", "Failed")
BEYOND = 1_000_000
"""How far new versions begin behind the last one of the backup: further than the changes that the disaster took (the
step that etcd's own restore advises, `--bump-revision`)."""
MACHINE = ("nodes",)
WORKLOADS = ("deployments", "statefulsets")


@dataclass(frozen=True)
class Stream:
    """The platform's stream as it is after the restore; None of it when the backup had none."""

    identity: str
    ids: frozenset[str]
    first_at: str
    """When the oldest letter that it holds was said (RFC 3339); empty while it has not let go of any."""


def changed(service: str, stream: Stream | None) -> Callable[[str, Row], Row | None]:
    """The change that each row of a service's store goes through."""

    def change(table: str, row: Row) -> Row | None:
        if table == "leases":  # their holders are gone; the generation goes on, which fences off whoever sleeps
            return {**row, "holder": "", "expires_at": ""}
        if table == "meta" and row["key"] == IDENTITY_KEY:
            return {**row, "value": stream.identity} if stream else row
        if table == "changes":
            return _unsaid(row, stream) if service != "node" else None
        if table == "objects" and service == "node":
            return without_machine(row)
        return row

    return change


def _unsaid(row: Row, stream: Stream | None) -> Row:
    """A letter is unsaid that was said after the streams were taken."""
    if stream is None or not row["letter"] or not row["said_at"] or row["at"] < stream.first_at:
        return row
    return row if str(json.loads(row["letter"])["id"]) in stream.ids else {**row, "said_at": None}


def without_machine(row: Row) -> Row | None:
    """An object of the node's, without what belonged to the old machine: unfinished pods, addresses, the Node.

    The platform's own workloads go too: `up` applies them after the configuration of this home, with which alone they
    may start (the old one names another home's ports).
    """
    resource = row["resource"].partition(".")[0]
    if resource in MACHINE:
        return None
    body = json.loads(row["body"])
    if resource == "pods" and (body.get("status") or {}).get("phase") not in FINISHED:
        return None
    if resource in WORKLOADS and row["namespace"] == SYSTEM_NAMESPACE:
        return None
    if resource == "services" and (body.get("spec") or {}).get("clusterIP") not in (None, "", "None"):
        spec = {key: value for key, value in body["spec"].items() if key not in ("clusterIP", "clusterIPs")}
        return {**row, "body": json.dumps({**body, "spec": spec}, separators=(",", ":"), ensure_ascii=False)}
    return row
