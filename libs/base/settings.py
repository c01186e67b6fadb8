"""What a process is told when it starts; read once from a mapping that `__main__` hands in, not from `os`."""

from collections.abc import Mapping
from types import UnionType
from typing import Any, Literal, Self, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from libs.base.errors import MillstreamError


class BadSettings(MillstreamError):
    """A setting is missing or malformed; the message names the variable and the reason."""


class Settings(BaseModel):
    """The fields that all services share; a service's own settings extend this class. Secrets stay out of `repr`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    service: str
    host: str = "127.0.0.1"
    port: int = Field(default=8080, ge=0, le=65535)
    store_url: str = Field(default="sqlite:///millstream.db", repr=False)
    migrate: bool = True
    """Bring the store's tables up to date at the start; else only see that they suffice (an initContainer did it)."""
    nats_url: str | None = Field(default=None, repr=False)
    nats_monitor_url: str | None = None
    """The broker's monitoring page, which alone tells whether it syncs before it acknowledges."""
    nats_ca_file: str | None = None
    """Authorities (PEM) that sign the broker's certificate; read again when it changes. Without it: no TLS."""
    nats_replicas: int = Field(default=1, ge=1, le=5)
    """How many servers of the broker hold each stream and consumer that this service makes."""
    identity_public_key: str | None = None
    """PEM text, or the path of a file that holds it."""
    insecure: bool = False
    """Tests only: serve without a public key to check identities with."""
    kubeconfig: str | None = None
    namespace: str = "millstream-system"
    replica: str | None = None
    """Names this replica for as long as at most one process can bear the name, such as its pod's uid: what it led
    before a crash it leads again at once, instead of waiting for its own lease to run out."""
    s3_endpoint: str | None = None
    s3_access_key: str | None = Field(default=None, repr=False)
    s3_secret_key: str | None = Field(default=None, repr=False)
    s3_bucket: str = "millstream"
    log_level: str = "info"
    log_format: str = "json"
    """`json` for machines, `console` for people."""
    otlp_endpoint: str | None = None
    linger_s: float = Field(default=2.0, ge=0)
    """How long a service goes on answering, at most, after it was told to end: longer than routing to it takes to
    change. See libs.service.farewell."""
    public_url: str = "http://127.0.0.1:8080"
    tls_port: int = Field(default=0, ge=0, le=65535)
    """Where the aggregated API listens, for the front proxy of a cluster's API server; 0 means not at all."""
    tls_cert_file: str = "/etc/millstream/tls/tls.crt"
    tls_key_file: str = "/etc/millstream/tls/tls.key"
    """Both may appear after the start, and change: they are read again without a restart."""
    authorization: Literal["open", "cluster"] = "open"
    """`cluster` asks the API server (SubjectAccessReview) about every request to a kind, on both listeners."""

    @classmethod
    def from_env(cls, environ: Mapping[str, str], prefix: str = "MILLSTREAM_", **given: Any) -> Self:
        """Reads `<prefix><FIELD>` for every field; an empty value counts as unset; `given` wins over `environ`.

        Fields that are not plain text or numbers are JSON (`{"trainer": "http://..."}`). `KUBECONFIG` without prefix is
        understood too, since every Kubernetes client reads it. Raises BadSettings naming the variable.
        """
        told: dict[str, Any] = {}
        for name, info in cls.model_fields.items():
            text = environ.get(prefix + name.upper(), "")
            if text:
                told[name] = _parse(prefix + name.upper(), text, info.annotation)
        if environ.get("KUBECONFIG"):
            told.setdefault("kubeconfig", environ["KUBECONFIG"])
        try:
            return cls(**{**told, **given})
        except ValidationError as error:
            raise BadSettings(_explain(error, prefix)) from None


def _parse(variable: str, text: str, annotation: Any) -> Any:
    if not _is_compound(annotation):
        return text
    try:
        return TypeAdapter(annotation).validate_json(text)
    except ValidationError as error:
        raise BadSettings(f"{variable} must be JSON for {annotation}: {error.errors()[0]['msg']}") from None


def _is_compound(annotation: Any) -> bool:
    if get_origin(annotation) in (Union, UnionType):
        return any(_is_compound(member) for member in get_args(annotation))
    return annotation not in (str, int, float, bool, type(None)) and get_origin(annotation) is not Literal


def _explain(error: ValidationError, prefix: str) -> str:
    lines = (f"{prefix}{str(e['loc'][0]).upper() if e['loc'] else ''}: {e['msg']}" for e in error.errors())
    return "settings: " + "; ".join(lines)
