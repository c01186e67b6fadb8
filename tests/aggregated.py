"""A cluster's side of an aggregated API: authorities, an API server with its reviews, and the front proxy it is."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from ssl import CERT_NONE, PROTOCOL_TLS_CLIENT, PROTOCOL_TLS_SERVER, SSLContext
from typing import Any

import aiohttp
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives import serialization as form
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

KUBECONFIG = """
apiVersion: v1
kind: Config
current-context: toy
contexts: [{{name: toy, context: {{cluster: toy, user: toy}}}}]
clusters: [{{name: toy, cluster: {{server: "{server}"}}}}]
users: [{{name: toy, user: {{token: service-account}}}}]
"""


@dataclass(frozen=True)
class Pair:
    """Certificate and key, PEM."""

    certificate: str
    key: str

    def write(self, folder: Path, name: str = "tls") -> tuple[str, str]:
        """The paths of both; what was there is replaced at once, as a kubelet does."""
        paths = (folder / f"{name}.crt", folder / f"{name}.key")
        for path, text in zip(paths, (self.certificate, self.key), strict=True):
            fresh = path.with_suffix(".new")
            fresh.write_text(text)
            fresh.replace(path)
        return str(paths[0]), str(paths[1])


class Authority:
    """A certificate authority; `above` has signed it, else it has signed itself."""

    def __init__(self, name: str, above: "Authority | None" = None) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name(name)
        signer = above or self
        self._certificate = _sign(self._name, self._key, signer._name, signer._key, authority=True)

    @property
    def pem(self) -> str:
        return self._certificate.public_bytes(form.Encoding.PEM).decode()

    def issue(self, name: str, *groups: str, client: bool = True, ends: timedelta = timedelta(hours=1)) -> Pair:
        key = ec.generate_private_key(ec.SECP256R1())
        made = _sign(_name(name, *groups), key, self._name, self._key, client=client, ends=ends)
        secret = key.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, form.NoEncryption())
        return Pair(made.public_bytes(form.Encoding.PEM).decode(), secret.decode())


def _name(name: str, *groups: str) -> x509.Name:
    parts = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups]
    return x509.Name([*parts, x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _sign(
    subject: x509.Name, key: Any, issuer: x509.Name, issuer_key: Any, *, authority: bool = False, client: bool = True,
    ends: timedelta = timedelta(hours=1),
) -> x509.Certificate:  # fmt: skip
    now = datetime.now(UTC)
    usage = ExtendedKeyUsageOID.CLIENT_AUTH if client else ExtendedKeyUsageOID.SERVER_AUTH
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + ends)
        .add_extension(x509.BasicConstraints(authority, None), critical=True)
    )
    if not authority:
        made = made.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        made = made.add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
    return made.sign(issuer_key, hashes.SHA256())


def server_context(pair: Pair, folder: Path) -> SSLContext:
    """TLS of a plain server."""
    context = SSLContext(PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*pair.write(folder, f"server-{abs(hash(pair))}"))
    return context


def client_context(pair: Pair | None, folder: Path, roots: str | None = None) -> SSLContext:
    """TLS of a client that shows `pair`; with `roots` it checks the server, as a front proxy with a caBundle does."""
    context = SSLContext(PROTOCOL_TLS_CLIENT)
    if roots is None:
        context.check_hostname, context.verify_mode = False, CERT_NONE
    else:
        context.load_verify_locations(cadata=roots)
    if pair:
        context.load_cert_chain(*pair.write(folder, f"client-{abs(hash(pair))}"))
    return context


@dataclass
class ApiServer:
    """What a service asks of its cluster: one ConfigMap, TokenReview and SubjectAccessReview."""

    trust: dict[str, str] = field(default_factory=dict)
    may: Callable[[dict[str, Any]], bool] = lambda spec: True
    tokens: dict[str, dict[str, Any]] = field(default_factory=dict)
    away: bool = False
    asked: list[dict[str, Any]] = field(default_factory=list)
    """The specs of the reviews."""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        if self.away:
            assert request.transport is not None
            request.transport.abort()
            raise web.HTTPServiceUnavailable
        if request.method == "GET" and request.path.endswith("/configmaps/extension-apiserver-authentication"):
            return web.json_response({"metadata": {"name": "x"}, "data": self.trust})
        review = await request.json()
        self.asked.append(review["spec"])
        if review["kind"] == "SubjectAccessReview":
            return web.json_response({**review, "status": {"allowed": self.may(review["spec"])}}, status=201)
        user = self.tokens.get(review["spec"]["token"])
        status = {"authenticated": True, "user": user} if user else {"authenticated": False}
        return web.json_response({**review, "status": status}, status=201)


async def answering(stack: AsyncExitStack, handle: Any, tls: SSLContext | None = None) -> str:
    """Serves `handle` on loopback, over TLS if given; its base URL."""
    application = web.Application(client_max_size=64 * 2**20)
    application.router.add_route("*", "/{rest:.*}", handle)
    runner = web.AppRunner(application, shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
    return f"{'https' if tls else 'http'}://localhost:{runner.addresses[0][1]}"


@asynccontextmanager
async def api_server(folder: Path) -> AsyncIterator[tuple[ApiServer, str]]:
    """An API server and the path of a kubeconfig for it."""
    server = ApiServer()
    async with AsyncExitStack() as stack:
        path = folder / "kubeconfig-of-the-service"
        path.write_text(KUBECONFIG.format(server=await answering(stack, server.handle)))
        yield server, str(path)


def trust_of(front: Authority, *names: str, client: Authority | None = None) -> dict[str, str]:
    """The data of the ConfigMap as a kube-apiserver writes it."""
    told = {
        "requestheader-client-ca-file": front.pem,
        "requestheader-allowed-names": json.dumps(names),
        "requestheader-username-headers": '["X-Remote-User"]',
        "requestheader-group-headers": '["X-Remote-Group"]',
        "requestheader-extra-headers-prefix": '["X-Remote-Extra-"]',
    }
    return told | ({"client-ca-file": client.pem} if client else {})


class FrontProxy:
    """A kube-apiserver's aggregator: knows users by bearer token, shows its certificate, tells users by headers."""

    def __init__(self, backend: str, context: SSLContext, users: dict[str, tuple[str, list[str]]]) -> None:
        self._backend, self._users = backend, users
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=context, limit=0), auto_decompress=False
        )

    async def close(self) -> None:
        await self._session.close()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if token not in self._users:
            return web.Response(status=401)
        user, groups = self._users[token]
        dropped = ("authorization", "host", "connection", "content-length", "transfer-encoding")
        kept = [(k, v) for k, v in request.headers.items() if not k.lower().startswith("x-remote-")]
        headers = [(k, v) for k, v in kept if k.lower() not in dropped]
        headers += [("X-Remote-User", user), *(("X-Remote-Group", group) for group in groups)]
        async with self._session.request(
            request.method, self._backend + request.raw_path, headers=headers, data=await request.read()
        ) as answer:
            told = web.StreamResponse(status=answer.status)
            for name in ("Content-Type", "Etag", "Warning", "Content-Length"):
                if name in answer.headers:
                    told.headers[name] = answer.headers[name]
            await told.prepare(request)
            async for chunk in answer.content.iter_any():
                await told.write(chunk)
            await told.write_eof()
            return told
