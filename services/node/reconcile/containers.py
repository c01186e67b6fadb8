"""Turns one container of a pod into a start order for the runtime: volumes made, references resolved."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from libs.resources import Resources
from libs.resources.kinds import Kind
from services.node.domain.environment import ConfigError, Sources, command_line, environment, references
from services.node.domain.expand import expand
from services.node.domain.quantity import quantity
from services.node.domain.volumes import TOKEN_PATH, Claim, FileSet, Volume, volumes
from services.node.ports import ContainerSpec, Limits, Mount
from services.node.reconcile.kinds import ACCOUNT, CLAIM, CONFIGMAP, SECRET
from services.node.reconcile.needs import NodeFacts, Tokens, VolumeStore

Object = dict[str, Any]
PLATFORM = "millstream-system"
ACCOUNT_VOLUME = "kube-api-access"


@dataclass(frozen=True)
class Known:
    """What a pod names besides itself, as far as it is there."""

    sources: Sources
    account: Object | None
    claims: frozenset[str]


class Containers:
    """Makes ContainerSpecs. Raises ConfigError while something the pod refers to is missing."""

    def __init__(self, resources: Resources, store: VolumeStore, tokens: Tokens, node: NodeFacts) -> None:
        self._resources, self._store, self._tokens, self._node = resources, store, tokens, node

    async def spec(self, pod: Object, container: Object, attempt: int) -> ContainerSpec:
        """Everything the runtime must know to start the container."""
        known = await self._known(pod)
        places = await self._put_volumes(pod, known)
        env = environment(pod, container, known.sources, self._node.allocatable)
        mounts = [self._mount(m, places, env) for m in container.get("volumeMounts") or []]
        if account := places.get(ACCOUNT_VOLUME):
            mounts.append(Mount(str(account[0]), TOKEN_PATH, True))
            env.setdefault("KUBECONFIG", f"{TOKEN_PATH}/kubeconfig")
        argv = command_line(container, env)
        if not argv:
            raise ConfigError(
                f"container {container['name']}: no command: images have none here, so set command or args"
            )
        return ContainerSpec(
            pod["metadata"]["uid"], container["name"], attempt, container["image"], argv, env,
            container.get("workingDir"), tuple(mounts), _limits(container),
            trusted=pod["metadata"]["namespace"] == PLATFORM,
        )  # fmt: skip

    async def refresh_volumes(self, pod: Object) -> None:
        """Makes every volume as it should be now."""
        await self._put_volumes(pod, await self._known(pod))

    async def _put_volumes(self, pod: Object, known: Known) -> dict[str, tuple[Path, bool]]:
        """The directory of each volume, and whether it may only be read."""
        files = self._account_files(pod, known.account)
        token = files.get("token", b"").decode()
        found = volumes(pod, known.sources, self._node.allocatable, token)
        for volume in found.values():
            if isinstance(volume, Claim) and volume.name not in known.claims:
                raise ConfigError(f'persistentvolumeclaim "{volume.name}" not found')
        if files:
            found[ACCOUNT_VOLUME] = FileSet({name: (content, 0o600) for name, content in files.items()})
        places = await self._store.put(pod, found)
        return {name: (place, _only_read(found[name])) for name, place in places.items()}

    async def _known(self, pod: Object) -> Known:
        """What the pod names besides itself, all as of one moment."""
        namespace, spec = pod["metadata"]["namespace"], pod["spec"]
        maps, secrets = references(spec)
        claims = {ref["claimName"] for v in spec.get("volumes") or [] if (ref := v.get("persistentVolumeClaim"))}
        async with self._resources.store.read() as reader:

            async def all_of(kind: Kind, names: Iterable[str]) -> dict[str, Object]:
                found = {name: await reader.get(kind.resource, namespace, name) for name in names}
                return {name: obj for name, obj in found.items() if obj}

            sources = Sources(await all_of(CONFIGMAP, maps), await all_of(SECRET, secrets))
            account = await reader.get(ACCOUNT.resource, namespace, _account(pod))
            return Known(sources, account, frozenset(await all_of(CLAIM, claims)))

    def _account_files(self, pod: Object, account: Object | None) -> dict[str, bytes]:
        """The service account's credentials, unless the pod or the account declines them."""
        if pod["spec"].get("automountServiceAccountToken") is False:
            return {}
        if account is None:
            if _account(pod) == "default":
                return {}
            raise ConfigError(f'serviceaccount "{_account(pod)}" not found')
        declines = account.get("automountServiceAccountToken") is False
        if declines and pod["spec"].get("automountServiceAccountToken") is not True:
            return {}
        return self._tokens.pod_files(pod, account)

    def _mount(self, mount: Object, places: dict[str, tuple[Path, bool]], env: dict[str, str]) -> Mount:
        place, only_read = places[mount["name"]]
        sub = mount.get("subPath") or expand(mount.get("subPathExpr") or "", env)
        if ".." in sub.split("/"):
            raise ConfigError(f"subPath {sub!r} must not contain '..'")
        host = place / sub.lstrip("/") if sub else place
        # A container of this pod may have put a link there that leads out of the volume, even into the home.
        if sub and not host.resolve().is_relative_to(place.resolve()):
            raise ConfigError(f"subPath {sub!r} leads out of its volume")
        return Mount(str(host), mount["mountPath"], only_read or bool(mount.get("readOnly")))


def _account(pod: Object) -> str:
    return pod["spec"].get("serviceAccountName") or "default"


def _only_read(volume: Volume) -> bool:
    return isinstance(volume, FileSet) or (isinstance(volume, Claim) and volume.read_only)


def _limits(container: Object) -> Limits:
    wanted = (container.get("resources") or {}).get("limits") or {}
    memory, cpu = wanted.get("memory"), wanted.get("cpu")
    return Limits(int(quantity(memory)) if memory is not None else None, quantity(cpu) if cpu is not None else None)
