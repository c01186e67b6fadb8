"""The node's own signing key and the service account tokens made with it (JWT, EdDSA)."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

from libs.base.clock import Clock, rfc3339
from libs.base.errors import Unauthorized
from libs.service.identity import User, make_keys

Object = dict[str, Any]
AUDIENCE = "https://kubernetes.default.svc"
POD_TOKEN_S = 365 * 24 * 3600
MADE_MAX = 4096
"""Pods whose token is remembered; an older one gets another when its files are put again."""
READ_MAX = 256
"""Tokens that are remembered: those of the platform's services, which ask all the time."""


class AccountTokens:
    """Signs and reads tokens. `api_url` goes into the kubeconfig of pods."""

    def __init__(self, folder: Path, api_url: str, clock: Clock) -> None:
        from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

        self._url, self._clock = api_url, clock
        private, public = _kept_keys(folder)
        self._private: Any = load_pem_private_key(private.encode(), password=None)
        self._public: Any = load_pem_public_key(public.encode())
        self._made: dict[str, str] = {}
        self._read: dict[str, Object] = {}

    def sign(
        self, account: Object, seconds: int, *, pod: Object | None = None, audiences: list[str] | None = None
    ) -> str:
        """A token of the account that ends after `seconds`, bound to `pod` if given."""
        import jwt

        meta = account["metadata"]
        now = int(self._clock.now().timestamp())
        bound: Object = {"namespace": meta["namespace"], "serviceaccount": {"name": meta["name"], "uid": meta["uid"]}}
        if pod:
            bound["pod"] = {"name": pod["metadata"]["name"], "uid": pod["metadata"]["uid"]}
        claims = {
            "iss": AUDIENCE, "aud": audiences or [AUDIENCE], "iat": now, "nbf": now, "exp": now + seconds,
            "sub": f"system:serviceaccount:{meta['namespace']}:{meta['name']}", "kubernetes.io": bound,
        }  # fmt: skip
        return jwt.encode(claims, self._private, algorithm="EdDSA")

    def read(self, token: str) -> Object:
        """The claims of a token of ours; raises Unauthorized for any other. One that was good is, until it ends."""
        known = self._read.get(token)
        if known is not None and known["exp"] > self._clock.now().timestamp():
            return known
        import jwt

        try:
            claims: Object = jwt.decode(
                token, self._public, algorithms=["EdDSA"], audience=AUDIENCE, options={"require": ["exp", "sub"]}
            )
        except jwt.PyJWTError as error:
            raise Unauthorized(f"the bearer token is not one of this node's: {error}") from error
        if len(self._read) >= READ_MAX:
            self._read.clear()
        self._read[token] = claims
        return claims

    def pod_files(self, pod: Object, account: Object) -> dict[str, bytes]:
        """What lies at /var/run/secrets/kubernetes.io/serviceaccount."""
        uid, namespace = pod["metadata"]["uid"], pod["metadata"]["namespace"]
        token = self._made.get(uid) or self.sign(account, POD_TOKEN_S, pod=pod)
        if uid not in self._made and len(self._made) >= MADE_MAX:
            del self._made[next(iter(self._made))]
        self._made[uid] = token
        return {
            "token": token.encode(),
            "namespace": namespace.encode(),
            "kubeconfig": json.dumps(_kubeconfig(self._url, namespace, token), indent=1).encode(),
        }

    def expiry(self, seconds: int) -> str:
        """When a token made now ends, as the TokenRequest answer tells it."""
        return rfc3339(self._clock.now() + timedelta(seconds=seconds))


def user_of(claims: Object) -> User:
    """The account as a user with the groups that Kubernetes gives it."""
    namespace = claims["kubernetes.io"]["namespace"]
    groups = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated")
    return User(claims["sub"], groups)


def _kubeconfig(url: str, namespace: str, token: str) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "pod",
        "clusters": [{"name": "node", "cluster": {"server": url}}],
        "users": [{"name": "account", "user": {"token": token}}],
        "contexts": [{"name": "pod", "context": {"cluster": "node", "user": "account", "namespace": namespace}}],
    }


def _kept_keys(folder: Path) -> tuple[str, str]:
    """The pair in the folder, made at the first start."""
    private, public = folder / "account-signing.pem", folder / "account-signing.pub.pem"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not public.exists():
        made = make_keys()
        for path, text in zip((private, public), made, strict=True):
            path.touch(mode=0o600)
            path.write_text(text)
    return private.read_text(), public.read_text()
