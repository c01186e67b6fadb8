"""The service's own secret, from which steps prove themselves: made at the first start, the same for all replicas."""

from libs.store import Store

META = "pipelines/token-key"


class TokenKey:
    """`fresh` is the secret to keep when there is none: the first replica to write wins, the others read it."""

    def __init__(self, store: Store, fresh: str) -> None:
        self._store, self._fresh = store, fresh
        self._key: bytes | None = None

    async def get(self) -> bytes:
        if self._key is None:
            async with self._store.write() as uow:
                text = await uow.meta(META)
                if text is None:
                    text = self._fresh
                    await uow.set_meta(META, text)
            self._key = text.encode()
        return self._key
