"""One pass over all that the bootstrap keeps; every step may be repeated, interrupted, or done by two at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import services
from libs.base.clock import Clock
from libs.cluster import Cluster
from libs.service.manifest import Manifest, load_all
from millstream.cluster import certificates, databases, derived, ledger, replacing, trustees
from millstream.cluster.certificates import CA
from millstream.cluster.options import Options
from millstream.cluster.vault import Texts, Vault
from millstream.errors import ClientError

LEDGER = "millstream-credentials"
NODE = "node"
ROUNDS = 10


class Everything:
    """Brings the cluster to what manifests and options say. Raises ClientError or the ApiErrors of libs.base."""

    def __init__(
        self,
        cluster: Cluster,
        manifests: Sequence[Manifest],
        options: Options,
        clock: Clock,
        say: Callable[[str], None],
    ) -> None:
        self._cluster, self._options, self._clock, self._say = cluster, options, clock, say
        self._manifests = [manifest for manifest in manifests if manifest.name != NODE]
        self.vault = Vault(cluster, options.namespace, say)

    async def ensure(self) -> None:
        """Secrets, certificates, trust, engines, databases, in this order: pods start as soon as they can."""
        await self._settled()
        await replacing.ensure(self._cluster, self.vault, self._options.namespace, LEDGER, self._say)
        if self._options.postgres == "internal":
            await self._databases()
        if self._options.apis == "aggregated" and self._options.certificates == "self-signed":
            await self._trusted()

    async def _trusted(self) -> None:
        """The pass above has told the APIServices that were there; here are all of them."""
        kinds = {kind for manifest in self._manifests for kind in manifest.kinds}
        expected = {f"{kind.version}.{kind.group}" for kind in kinds}
        await trustees.wait(self._cluster, expected, self._clock, self._options.wait_s)
        authority = await certificates.ensure(self.vault, self._manifests, self._options, self._clock.now())
        await trustees.ensure(self._cluster, authority.bundle, self._say)

    async def _settled(self) -> None:
        """What follows from the ledger and the authority; once more if either moved on under our hands."""
        for _ in range(ROUNDS):
            known = await self.vault.revise(LEDGER, await self._completing(), always=True)
            for name, texts in derived.secrets(known, self._manifests, self._options):
                await self.vault.revise(name, lambda _, texts=texts: texts)
            if self._options.certificates == "self-signed":
                now = self._clock.now()
                authority = await certificates.ensure(self.vault, self._manifests, self._options, now)
                await trustees.ensure(self._cluster, authority.bundle, self._say)
            if await self.vault.unchanged(LEDGER, CA):
                return
        raise ClientError(f"Secrets {LEDGER} and {CA} are changed by others all the time")

    async def _completing(self) -> Callable[[Texts | None], Texts]:
        """Completes the ledger; reads a lost one back from what followed from it."""
        lost: Texts = {}
        if await self.vault.read(LEDGER) is None:
            texts = {name: await self.vault.read(name) or {} for name in derived.sources(self._manifests)}
            lost = derived.recovered(texts, self._manifests)
        fresh = ledger.completed(lost, self._manifests)
        return lambda before: {**fresh, **before} if before is not None else fresh

    async def _databases(self) -> None:
        known = await self.vault.read(LEDGER) or {}
        at = self._options.postgres_at or f"postgres.{self._options.namespace}.svc.cluster.local:5432"
        server = databases.Server(at, ledger.login(known[ledger.ADMIN]))
        logins = {m.name: ledger.logins(known, ledger.postgres(m.name)) for m in self._manifests if "store" in m.needs}
        await databases.ensure(server, logins, self._say, clock=self._clock, wait_s=self._options.wait_s)


def shipped() -> tuple[Manifest, ...]:
    """The manifests of the services in this image or checkout."""
    return load_all(Path(next(iter(services.__path__))))
