"""Certificates where no cert-manager is: an authority and a serving certificate for each service, kept in Secrets."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Sequence

from libs.service.manifest import Manifest
from millstream.cluster import broker
from millstream.cluster.authority import Authority, Pair, advanced, founded, good, issued
from millstream.cluster.options import Options
from millstream.cluster.vault import TLS, Texts, Vault
from millstream.errors import ClientError

CA, BROKER_TLS = "millstream-ca", "nats-tls"


def of_service(name: str) -> str:
    """The Secret that is mounted at /etc/millstream/tls."""
    return f"millstream-{name}-tls"


def names(service: str, namespace: str) -> list[str]:
    """What a Service is called from near and far."""
    full = f"{service}.{namespace}.svc.cluster.local"
    return [service, f"{service}.{namespace}", f"{service}.{namespace}.svc", full]


def wanted(manifests: Sequence[Manifest], options: Options) -> Iterator[tuple[str, list[str], bool]]:
    """(Secret, names, whether its holder also dials its peers) of every certificate."""
    for manifest in manifests:
        yield of_service(manifest.name), names(manifest.name, options.namespace), False
    if options.nats == "cluster":
        own = names(broker.NAME, options.namespace)
        yield BROKER_TLS, [*own, f"*.{own[-1]}"], True


async def ensure(vault: Vault, manifests: Sequence[Manifest], options: Options, now: dt.datetime) -> Authority:
    """Everything made, renewed and trusted as it should be at `now`."""
    if not await vault.is_ours(CA):
        raise ClientError(
            f"Secret {CA} is somebody else's: remove it, or leave certificates alone (--certificates=off)"
        )

    def move(before: Texts | None) -> Texts:
        return texts_of(advanced(authority_of(before), now) if before else founded(now))

    authority = authority_of(await vault.revise(CA, move))
    for name, hosts, peer in wanted(manifests, options):
        await vault.revise(name, _renewing(authority, hosts, now, peer), type=TLS)
    return authority


def _renewing(authority: Authority, hosts: list[str], now: dt.datetime, peer: bool) -> Callable[[Texts | None], Texts]:
    def renew(before: Texts | None) -> Texts:
        pair = Pair((before or {}).get("tls.crt", ""), (before or {}).get("tls.key", ""))
        if not good(pair, authority, hosts, now):
            pair = issued(authority, hosts, now, peer=peer)
        return {"tls.crt": pair.certificate, "tls.key": pair.key, "ca.crt": authority.bundle}

    return renew


def texts_of(authority: Authority) -> Texts:
    """The authority's own Secret: tls.* signs, ca.crt is what everybody trusts, next.* has been announced."""
    told = {"tls.crt": authority.current.certificate, "tls.key": authority.current.key, "ca.crt": authority.bundle}
    if authority.next:
        told |= {"next.crt": authority.next.certificate, "next.key": authority.next.key}
    return told


def authority_of(texts: Texts) -> Authority:
    """The authority out of its Secret. Raises ClientError when a part is missing."""
    try:
        following = Pair(texts["next.crt"], texts["next.key"]) if "next.crt" in texts else None
        return Authority(Pair(texts["tls.crt"], texts["tls.key"]), following, split(texts["ca.crt"]))
    except KeyError as error:
        raise ClientError(f"Secret {CA} lacks {error.args[0]}: delete it to found a new authority") from None


def split(bundle: str) -> tuple[str, ...]:
    """The single certificates of a PEM bundle."""
    end = "-----END CERTIFICATE-----\n"
    return tuple(each + end for each in bundle.split(end) if each.strip())
