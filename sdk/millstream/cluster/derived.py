"""The Secrets that follow from ledger and manifests, and how a lost ledger is read back from them; values only."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from urllib.parse import urlsplit

from libs.service.manifest import Manifest
from millstream.brokerconf import PERSON
from millstream.cluster import broker, ledger
from millstream.cluster.ledger import ADMIN, IDENTITY, S3, TOKEN, Ledger, login
from millstream.cluster.options import Options

GATEWAY = "gateway"
OPERATOR = "millstream-operator"
"""For people and tools: it may say everything on the broker and speak as the administrator at the gateway."""
DATABASES, OBJECTS, BROKER = "postgres-credentials", "s3-credentials", "nats-config"

Texts = dict[str, str]


def of_service(name: str) -> str:
    """The Secret that a service's process gets as its environment."""
    return f"millstream-{name}"


def secrets(known: Ledger, manifests: Sequence[Manifest], options: Options) -> Iterator[tuple[str, Texts]]:
    """Name and texts of every Secret; an engine that somebody else runs has its words elsewhere."""
    if options.nats != "external":
        users = [m.name for m in manifests if "bus" in m.needs]
        logins = {user: ledger.logins(known, ledger.nats(user)) for user in (*users, PERSON)}
        peers = broker.Peers(broker.hosts(options.namespace, options.servers)) if options.servers > 1 else None
        yield BROKER, {"nats.conf": broker.config(manifests, logins, peers)}
    if options.postgres == "internal":
        user, password = login(known[ADMIN])
        yield DATABASES, {"username": user, "password": password}
    if options.s3 == "internal":
        pairs = ",".join(f'"{user},{password}"' for user, password in ledger.logins(known, S3))
        yield OBJECTS, {"RCLONE_AUTH_KEY": pairs}  # rclone reads its pairs as CSV, hence the quotes
    for manifest in manifests:
        yield of_service(manifest.name), service(known, manifest, options)
    yield OPERATOR, operator(known, options)


def service(known: Ledger, manifest: Manifest, options: Options) -> Texts:
    """What one service is told; `MILLSTREAM_` names are the fields of its settings."""
    told = {"MILLSTREAM_IDENTITY_PUBLIC_KEY": ledger.public_keys(known)}
    if "store" in manifest.needs and options.postgres == "internal":
        told["MILLSTREAM_STORE_URL"] = store_url(known, manifest.name, options.namespace)
    if "bus" in manifest.needs and options.nats != "external":
        told["MILLSTREAM_NATS_URL"] = _nats_url(known, manifest.name, options)
    if {"blobs", "cluster"} & set(manifest.needs):  # those hand them on to their workloads
        told |= _s3(known, options)
    if manifest.name == GATEWAY:
        told |= {"MILLSTREAM_IDENTITY_PRIVATE_KEY": known[IDENTITY], "MILLSTREAM_LOCAL_TOKEN": known[TOKEN]}
    return told


def operator(known: Ledger, options: Options) -> Texts:
    """What a person, a backup or a test needs of the whole platform."""
    told = {"MILLSTREAM_TOKEN": known[TOKEN], **_s3(known, options)}
    if options.nats != "external":
        told["MILLSTREAM_NATS_URL"] = _nats_url(known, PERSON, options)
    return told


def store_url(known: Ledger, name: str, namespace: str) -> str:
    """The store of a service in the cluster's own PostgreSQL."""
    user, password = login(known[ledger.postgres(name)])
    return f"postgresql+asyncpg://{user}:{password}@postgres.{namespace}.svc.cluster.local:5432/{name}"


def _nats_url(known: Ledger, user: str, options: Options) -> str:
    return broker.url(login(known[ledger.nats(user)]), options.namespace, options.servers)


def _s3(known: Ledger, options: Options) -> Texts:
    if options.s3 != "internal":
        return {}
    user, password = login(known[S3])
    return {"MILLSTREAM_S3_ACCESS_KEY": user, "MILLSTREAM_S3_SECRET_KEY": password}


def sources(manifests: Iterable[Manifest]) -> list[str]:
    """The Secrets that a lost ledger can be read back from."""
    return [DATABASES, OPERATOR, *(of_service(manifest.name) for manifest in manifests)]


def recovered(texts: Mapping[str, Texts], manifests: Iterable[Manifest]) -> Texts:
    """The entries of a ledger that was lost, as far as the Secrets (by name) that followed from it still tell them."""
    found: dict[str, str | None] = {}
    gateway, operator, admin = (texts.get(name, {}) for name in (of_service(GATEWAY), OPERATOR, DATABASES))
    found[IDENTITY] = gateway.get("MILLSTREAM_IDENTITY_PRIVATE_KEY")
    found[TOKEN] = gateway.get("MILLSTREAM_LOCAL_TOKEN") or operator.get("MILLSTREAM_TOKEN")
    found[ledger.nats(PERSON)] = _login_of(operator.get("MILLSTREAM_NATS_URL"))
    if "password" in admin:
        found[ADMIN] = f"{admin['username']}:{admin['password']}"
    for manifest in manifests:
        told = texts.get(of_service(manifest.name), {})
        found[ledger.nats(manifest.name)] = _login_of(told.get("MILLSTREAM_NATS_URL"))
        found[ledger.postgres(manifest.name)] = _login_of(told.get("MILLSTREAM_STORE_URL"))
    for told in texts.values():
        if "MILLSTREAM_S3_ACCESS_KEY" in told:
            found[S3] = f"{told['MILLSTREAM_S3_ACCESS_KEY']}:{told['MILLSTREAM_S3_SECRET_KEY']}"
    return {entry: value for entry, value in found.items() if value is not None}


def _login_of(url: str | None) -> str | None:
    parts = urlsplit((url or "").partition(",")[0])
    return f"{parts.username}:{parts.password}" if parts.username and parts.password else None
