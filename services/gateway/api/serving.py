"""The way to predictors, for clusters without a Gateway API: who may see an inference service may ask it."""

from __future__ import annotations

import json
import re

from libs.base.clock import Clock
from libs.base.errors import NotFound, error_from_status
from libs.service.asgi import Scope
from libs.service.identity import User
from libs.service.remembered import Remembered
from services.gateway.domain.table import PREDICTOR, Table, Target, check_path
from services.gateway.ports import Upstreams

GROUP, VERSION, PLURAL = "serving.kserve.io", "v1beta1", "inferenceservices"
GOOD_S = 10.0
_LABEL = "[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_PATH = re.compile(rf"/serving/(?P<namespace>{_LABEL})/(?P<name>{_LABEL})(?P<rest>/.*)?", re.DOTALL)


class Serving:
    """Leads `/serving/<namespace>/<name>/...` to the predictor; both names are DNS labels, so they lead nowhere else.

    The predictor runs code of a model's maker: it gets neither the caller's token nor a signed identity.
    """

    def __init__(self, table: Table, upstreams: Upstreams, clock: Clock) -> None:
        self._owner = table.kinds.get((GROUP, PLURAL))
        self._upstreams = upstreams
        self._seen: Remembered[tuple[User, str, str], bool] = Remembered(clock, GOOD_S)

    def claims(self, path: str) -> bool:
        return path.startswith("/serving/")

    async def lead(self, scope: Scope, user: User) -> tuple[Scope, Target]:
        """The request without the prefix, as the predictor wants it, and where to. Raises what the owner of the kind
        says: NotFound, or Forbidden where the cluster's rights count.
        """
        check_path(scope["path"])
        found = _PATH.fullmatch(scope["path"])
        prefix = scope["path"][: found.start("rest")].encode() if found and found["rest"] else scope["path"].encode()
        # Where the prefix is spelt with escapes, others on the way may have read another one.
        if found is None or self._owner is None or not scope["raw_path"].startswith(prefix):
            raise NotFound(f"the server could not find the requested resource: {scope['path']}")
        namespace, name, rest = found["namespace"], found["name"], found["rest"] or "/"
        await self._seen.get((user, namespace, name), lambda: self._see(user, namespace, name))
        inner = {**scope, "path": rest, "raw_path": scope["raw_path"][len(prefix) :] or b"/"}
        return inner, Target(PREDICTOR.format(namespace=namespace, name=name), rest)

    async def _see(self, user: User, namespace: str, name: str) -> bool:
        path = f"/apis/{GROUP}/{VERSION}/namespaces/{namespace}/{PLURAL}/{name}"
        asked = self._upstreams.ask(self._owner or "", "GET", path, [(b"Accept", b"application/json")], None, user)
        async with asked as answer:
            body = b"".join([chunk async for chunk in answer.chunks()])
        if answer.status != 200:
            raise error_from_status(_status(answer.status, body))
        return True


def _status(code: int, body: bytes) -> dict[str, object]:
    try:
        told = json.loads(body)
    except ValueError:
        told = None
    return {**(told if isinstance(told, dict) else {"message": f"HTTP {code}"}), "code": code}
