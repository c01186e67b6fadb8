"""Who may take kept results to another platform, and who may bring some here: whoever brings one speaks for steps that
did not run here, so it asks for a right of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

from libs.base.errors import BadRequest
from services.pipelines.domain.runs import Run
from services.pipelines.domain.sharing import SHA
from services.pipelines.handlers import runs
from services.pipelines.handlers.desk import Means, Object, there
from services.pipelines.ports import Sharing

PLURAL, VERB = "caches", "import"
KEYS_MAX = 1000
PARTS_MAX = 1_000_000


@dataclass(frozen=True)
class SharedResults:
    """Answers are objects in JSON; raises ApiError for whatever is refused."""

    means: Means
    shared: Sharing

    async def entries(self, user: Any, namespace: str, run_id: str, after: str) -> Object:
        """Whoever may look at a namespace's runs may see and take what they made."""
        space = self.means.space(namespace)
        if run_id:
            async with self.means.look() as needs:
                run: Run = there(await needs.runs.get(run_id), "run", run_id)
            space = run.namespace
        await self.means.allow(user, "get", runs.PLURAL, space, "")
        found, token = await self.shared.entries(space, run_id, after)
        return {"entries": found, "next_page_token": token, "namespace": space}

    async def content(
        self, user: Any, namespace: str, key: str, output: str, place: int, path: str
    ) -> AsyncIterator[bytes]:
        space = self.means.space(namespace)
        await self.means.allow(user, "get", runs.PLURAL, space, "")
        return await self.shared.content(space, key, output, place, path)

    async def wanted(self, user: Any, namespace: str, keys: Sequence[str]) -> Object:
        if len(keys) > KEYS_MAX:
            raise BadRequest(f"keys: {len(keys)} are more than {KEYS_MAX}: ask for some at a time")
        return {"wanted": await self.shared.wanted(await self._importing(user, namespace), keys)}

    async def parts(self, user: Any, namespace: str, digest: str) -> Object:
        found = await self.shared.parts(await self._importing(user, namespace), _sha(digest))
        return {"parts": [{"number": number, "size": str(size)} for number, size in sorted(found.items())]}

    async def put_part(self, user: Any, namespace: str, digest: str, number: int, data: bytes) -> Object:
        if not 0 <= number < PARTS_MAX:
            raise BadRequest(f"part {number} is not one from 0 to {PARTS_MAX - 1}")
        await self.shared.put_part(await self._importing(user, namespace), _sha(digest), number, data)
        return {}

    async def keep(self, user: Any, namespace: str, told: Object) -> Object:
        found, is_news = await self.shared.keep(await self._importing(user, namespace), told)
        return {"key": found.key, "added": is_news}

    async def _importing(self, user: Any, namespace: str) -> str:
        space = self.means.space(namespace)
        await self.means.allow(user, VERB, PLURAL, space, "")
        return space


def _sha(text: str) -> str:
    if not SHA.fullmatch(text):
        raise BadRequest(f"{text[:80]!r} is no SHA-256 in hexadecimal")
    return text
