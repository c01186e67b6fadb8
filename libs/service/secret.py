"""A service's own secret, from which tokens for its workloads follow: made at the first start, the same for all
replicas, kept in the service's store and nowhere else."""

from libs.store import Store


class TokenKey:
    """`name` is where it is kept, `fresh` the secret to keep when there is none: the first replica to write wins, the
    others read it."""

    def __init__(self, store: Store, name: str, fresh: str) -> None:
        self._store, self._name, self._fresh = store, name, fresh
        self._key: bytes | None = None

    async def get(self) -> bytes:
        if self._key is None:
            async with self._store.write() as uow:
                text = await uow.meta(self._name)
                if text is None:
                    text = self._fresh
                    await uow.set_meta(self._name, text)
            self._key = text.encode()
        return self._key
