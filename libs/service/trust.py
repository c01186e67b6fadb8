"""Whom an extension API server believes, as its cluster says in one ConfigMap; reads texts, dials nobody.

Source: `extension-apiserver-authentication` in kube-system, written by every kube-apiserver, and the authenticators of
k8s.io/apiserver that read it (headerrequest, x509).
"""

from __future__ import annotations

import json
import re
import ssl
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import unquote

from libs.base.errors import Unauthorized
from libs.service.identity import User
from libs.service.peers import Peer

CONFIGMAP_NAMESPACE, CONFIGMAP_NAME = "kube-system", "extension-apiserver-authentication"
AUTHENTICATED, UNAUTHENTICATED = "system:authenticated", "system:unauthenticated"
_PEM = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)

Headers = Iterable[tuple[bytes, bytes]]


@dataclass(frozen=True)
class Trust:
    """What the ConfigMap says. The default trusts nobody."""

    front_proxy_ca: str = ""
    """PEM of those who vouch for the front proxy; `allowed_names` empty means any name they vouch for."""
    allowed_names: tuple[str, ...] = ()
    user_headers: tuple[str, ...] = ("X-Remote-User",)
    uid_headers: tuple[str, ...] = ("X-Remote-Uid",)
    group_headers: tuple[str, ...] = ("X-Remote-Group",)
    extra_prefixes: tuple[str, ...] = ("X-Remote-Extra-",)
    client_ca: str = ""
    """PEM of those who vouch for users themselves: common name is the user, organizations are groups."""

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Trust:
        """From the ConfigMap's `data`. Raises ValueError for a list or a certificate that is none."""
        default = cls()
        return cls(
            front_proxy_ca=_bundle(data, "requestheader-client-ca-file"),
            allowed_names=_names(data, "requestheader-allowed-names", ()),
            user_headers=_names(data, "requestheader-username-headers", default.user_headers),
            uid_headers=_names(data, "requestheader-uid-headers", default.uid_headers),
            group_headers=_names(data, "requestheader-group-headers", default.group_headers),
            extra_prefixes=_names(data, "requestheader-extra-headers-prefix", default.extra_prefixes),
            client_ca=_bundle(data, "client-ca-file"),
        )

    @property
    def bundle(self) -> str:
        """Everybody a client certificate may be vouched for by."""
        return "\n".join(pem for pem in (self.front_proxy_ca, self.client_ca) if pem)

    def is_front_proxy(self, peer: Peer) -> bool:
        """Whether what this peer says of users may be believed."""
        named = not self.allowed_names or peer.name in self.allowed_names
        return named and not peer.vouched_by.isdisjoint(ders(self.front_proxy_ca))

    def user_of(self, peer: Peer, headers: Headers, now: float) -> User:
        """Whom a request with this client certificate speaks for; `now` in seconds since 1970. Raises Unauthorized.

        As in Kubernetes the headers of a front proxy count first, then a certificate of the cluster's own clients.
        """
        if now > peer.ends_at:
            raise Unauthorized("the client certificate has expired")
        if self.is_front_proxy(peer) and (user := self._remote_user(headers)):
            return user
        if peer.name and not peer.vouched_by.isdisjoint(ders(self.client_ca)):
            return authenticated(User(peer.name, peer.organizations))
        raise Unauthorized("the client certificate is neither that of the front proxy with a user nor that of a client")

    def _remote_user(self, headers: Headers) -> User | None:
        told = [(_text(name).lower(), value) for name, value in headers]
        name, uid = (_first(told, names) for names in (self.user_headers, self.uid_headers))
        if not name:
            return None
        wanted = [header.lower() for header in self.group_headers]
        groups = tuple(_text(value) for header in wanted for key, value in told if key == header and value)
        return authenticated(User(name, groups, uid=uid, extra=self._extra(told)))

    def _extra(self, told: list[tuple[str, bytes]]) -> tuple[tuple[str, tuple[str, ...]], ...]:
        found: dict[str, list[str]] = {}
        for prefix in (each.lower() for each in self.extra_prefixes):
            for key, value in told:
                if key.startswith(prefix):
                    found.setdefault(unquote(key.removeprefix(prefix)), []).append(_text(value))
        return tuple((key, tuple(values)) for key, values in sorted(found.items()))


def authenticated(user: User) -> User:
    """The user as a member of all who proved who they are, unless it says that it did not."""
    if user.name == "system:anonymous" or {AUTHENTICATED, UNAUTHENTICATED} & set(user.groups):
        return user
    return User(user.name, (*user.groups, AUTHENTICATED), uid=user.uid, extra=user.extra)


@lru_cache(maxsize=8)
def ders(bundle: str) -> frozenset[bytes]:
    """The certificates of a PEM bundle, as what is compared: their DER form."""
    return frozenset(ssl.PEM_cert_to_DER_cert(pem) for pem in _PEM.findall(bundle))


def _first(told: list[tuple[str, bytes]], names: tuple[str, ...]) -> str:
    for wanted in (name.lower() for name in names):
        for key, value in told:
            if key == wanted and value:
                return _text(value)
    return ""


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        raise Unauthorized("the front proxy's headers are not UTF-8") from error


def _bundle(data: Mapping[str, Any], key: str) -> str:
    """The certificates alone, without what else stands between them."""
    found = "\n".join(_PEM.findall(str(data.get(key) or "")))
    if found:
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_verify_locations(cadata=found)
            ders(found)
        except (OSError, TypeError) as error:
            raise ValueError(f"{key}: {error}") from error
    return found


def _names(data: Mapping[str, Any], key: str, default: tuple[str, ...]) -> tuple[str, ...]:
    if not (text := data.get(key)):
        return default
    found = json.loads(text)
    if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
        raise ValueError(f"{key}: {text!r} is not a JSON list of texts")
    return tuple(found)
