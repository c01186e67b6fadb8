"""Models of the registry as a job's source: what `model-registry://NAME[/VERSION]` means, and who may have it.

It is settled once for each job, before the job asks for room, and kept in its status: the pods get the plain URI of the
files and no way to the registry, and a job that begins again gets the same files.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from libs.cluster.obstacles import Obstacle

SCHEME = "model-registry"
FETCHED = ("s3", "http", "https", "hf")
"""Where a registered model may lie. Not in a claim: who registers a model could open others' volumes by its name."""
UNKNOWN, FORBIDDEN, UNUSABLE = "ModelVersionUnknown", "ModelVersionForbidden", "ModelVersionUnusable"
SHOWN_MAX = 10


@dataclass(frozen=True)
class Version:
    """As the registry announced it. `number` grows with each registration; `namespace` is its tenant, "" everybody."""

    model: str
    version: str
    number: int
    namespace: str
    uri: str


@dataclass(frozen=True)
class Wish:
    """What a job names; without a `version` it means the newest one."""

    uri: str
    model: str
    version: str | None


def wish(uri: str) -> Wish | None:
    """None for a URI of another scheme; its model is empty where the URI is no valid one."""
    where = urlsplit(uri)
    if where.scheme != SCHEME:
        return None
    words = uri.removeprefix(f"{SCHEME}://").split("/")
    if len(words) > 2 or not all(words) or where.query or where.fragment:
        return Wish(uri, "", None)
    return Wish(uri, words[0], words[1] if len(words) == 2 else None)


def open_wish(initializer: dict[str, Any]) -> Wish | None:
    """The model that is still to be looked up."""
    return wish((initializer.get("model") or {}).get("storageUri") or "")


def settled(initializer: dict[str, Any], job: dict[str, Any]) -> dict[str, Any]:
    """What is fetched, with the plain URI in the place of the one that was settled for this job."""
    note = (job.get("status") or {}).get("registeredModel") or {}
    model = initializer.get("model") or {}
    if not note or model.get("storageUri") != note["asked"]:
        return initializer
    return {**initializer, "model": {**model, "storageUri": note["uri"]}}


def note(asked: Wish, found: Version) -> dict[str, str]:
    """What the status keeps of it."""
    return {"asked": asked.uri, "version": found.version, "uri": found.uri}


def choose(asked: Wish, namespace: str, versions: Sequence[Version]) -> Version | Obstacle:
    """Which of the model's `versions` a job of this namespace gets, or why none; only UNUSABLE is hopeless."""
    named = [one for one in versions if asked.version in (None, one.version)]
    allowed = [one for one in named if one.namespace in ("", namespace)]
    if not allowed:
        return _forbidden(asked, namespace, named[0]) if named else _unknown(asked, versions)
    found = max(allowed, key=lambda one: one.number)
    return found if urlsplit(found.uri).scheme in FETCHED else _unusable(asked, found)


def _unknown(asked: Wish, versions: Sequence[Version]) -> Obstacle:
    if not versions:
        told = f"the registry has announced no model {asked.model!r}"
    else:
        newest = sorted(versions, key=lambda one: -one.number)
        names = ", ".join(one.version for one in newest[:SHOWN_MAX])
        more = f" and {len(newest) - SHOWN_MAX} more" if len(newest) > SHOWN_MAX else ""
        told = f"model {asked.model!r} has no version {asked.version!r}, it has {names}{more}"
    return Obstacle(UNKNOWN, f"{told}; the job goes on when it is registered, else delete the job and name another")


def _forbidden(asked: Wish, namespace: str, other: Version) -> Obstacle:
    which = f"version {asked.version!r} of model {asked.model!r}" if asked.version else f"model {asked.model!r}"
    remedy = f"train it in {other.namespace}, or have it registered for {namespace} or for everybody (no namespace)"
    return Obstacle(FORBIDDEN, f"{which} belongs to namespace {other.namespace}, this job to {namespace}; {remedy}")


def _unusable(asked: Wish, found: Version) -> Obstacle:
    where = f"version {found.version!r} of model {asked.model!r} lies at {found.uri!r}"
    remedy = f"register it under {', '.join(f'{scheme}://' for scheme in FETCHED)}, or name pvc:// in the job itself"
    return Obstacle(UNUSABLE, f"{where}, which a job cannot fetch; {remedy}", hopeless=True)
