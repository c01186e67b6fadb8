"""What the gateway is told when it starts."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from libs.base.settings import Settings

Algorithm = Literal["RS256", "RS384", "RS512", "PS256", "ES256", "ES384", "EdDSA"]
"""Signatures with a public key only: with `none` or a shared secret anybody who reads our configuration could sign."""


class Issuer(BaseModel):
    """Whose JWTs are believed, and how they name user and groups. Exactly one source of keys must be given."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    issuer: str
    audience: str
    jwks_url: str | None = None
    jwks_file: str | None = None
    public_key: str | None = None
    """PEM text."""
    algorithms: tuple[Algorithm, ...] = ("RS256", "ES256", "EdDSA")
    user_claim: str = "sub"
    groups_claim: str = "groups"
    user_prefix: str = ""

    @model_validator(mode="after")
    def _one_source(self) -> "Issuer":
        if sum(source is not None for source in (self.jwks_url, self.jwks_file, self.public_key)) != 1:
            raise ValueError(f"issuer {self.issuer}: give exactly one of jwks_url, jwks_file, public_key")
        return self


class Options(Settings):
    """The gateway's settings; see libs.base.settings for where they come from."""

    node_url: str | None = None
    """The API of the built-in kinds: the node on a laptop, the kube API server on a cluster."""
    node_token_file: str | None = None
    """On a cluster: the token the gateway shows to the API server, on behalf of the user (impersonation)."""
    node_ca_file: str | None = None
    upstreams: dict[str, str] = Field(default_factory=dict)
    """Base URLs by service, instead of their cluster names."""
    identity_private_key: str | None = Field(default=None, repr=False)
    """Ed25519 key, PEM text or a path, that signs the identities handed on."""
    local_user: bool = False
    """Requests without a credential, from a loopback peer or a trusted edge serving one, are the local user's."""
    local_user_name: str = "local-user"
    local_token: str | None = Field(default=None, repr=False)
    """A static bearer token of the local user, text or a path."""
    issuers: tuple[Issuer, ...] = ()
    token_review: bool = False
    """The cluster's own bearer tokens are believed, as its API server judges them (TokenReview)."""
    serving_proxy: bool = False
    """`/serving/<namespace>/<name>/...` leads to the predictor, for clusters without a Gateway API."""
    predictor_url: str = "http://{name}-predictor.{namespace}.svc.cluster.local"
    max_body_bytes: int = 32 * 2**20
    discovery_ttl_s: float = 2.0

    def upstream_of(self, service: str, port: int) -> str:
        """The base URL of a service, without a slash at its end."""
        found = self.upstreams.get(service) or f"http://{service}.{self.namespace}.svc.cluster.local:{port}"
        return found.rstrip("/")
