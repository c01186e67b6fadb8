"""Turns one container of a pod into a start order for the runtime: volumes made, references resolved."""

from pathlib import Path
from typing import Any

from libs.base.errors import NotFound
from libs.resources import Resources
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


class Containers:
    """Makes ContainerSpecs. Raises ConfigError while something the pod refers to is missing."""

    def __init__(self, resources: Resources, store: VolumeStore, tokens: Tokens, node: NodeFacts) -> None:
        self._resources, self._store, self._tokens, self._node = resources, store, tokens, node

    async def spec(self, pod: Object, container: Object, attempt: int) -> ContainerSpec:
        """Everything the runtime must know to start the container."""
        sources = await self._sources(pod)
        places = await self.put_volumes(pod, sources)
        env = environment(pod, container, sources, self._node.allocatable)
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

    async def put_volumes(self, pod: Object, sources: Sources | None = None) -> dict[str, tuple[Path, bool]]:
        """Makes or refreshes every volume; answers its directory and whether it may only be read."""
        sources = sources or await self._sources(pod)
        files = await self._account_files(pod)
        token = files.get("token", b"").decode()
        found = volumes(pod, sources, self._node.allocatable, token)
        for volume in found.values():
            if isinstance(volume, Claim):
                await self._check_claim(pod, volume.name)
        if files:
            found[ACCOUNT_VOLUME] = FileSet({name: (content, 0o600) for name, content in files.items()})
        places = await self._store.put(pod, found)
        return {name: (place, _only_read(found[name])) for name, place in places.items()}

    async def _check_claim(self, pod: Object, name: str) -> None:
        if await self._resources.find(CLAIM, pod["metadata"]["namespace"], name) is None:
            raise ConfigError(f'persistentvolumeclaim "{name}" not found')

    async def _sources(self, pod: Object) -> Sources:
        maps, secrets = references(pod["spec"])
        namespace = pod["metadata"]["namespace"]
        async with self._resources.store.read() as reader:
            found_maps = {name: await reader.get(CONFIGMAP.resource, namespace, name) for name in maps}
            found_secrets = {name: await reader.get(SECRET.resource, namespace, name) for name in secrets}
        return Sources(
            {name: obj for name, obj in found_maps.items() if obj}, {n: obj for n, obj in found_secrets.items() if obj}
        )

    async def _account_files(self, pod: Object) -> dict[str, bytes]:
        """The service account's credentials, unless the pod or the account declines them."""
        name, namespace = pod["spec"].get("serviceAccountName") or "default", pod["metadata"]["namespace"]
        if pod["spec"].get("automountServiceAccountToken") is False:
            return {}
        try:
            account = await self._resources.get(ACCOUNT, namespace, name)
        except NotFound as error:
            if name == "default":
                return {}
            raise ConfigError(f'serviceaccount "{name}" not found') from error
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


def _only_read(volume: Volume) -> bool:
    return isinstance(volume, FileSet) or (isinstance(volume, Claim) and volume.read_only)


def _limits(container: Object) -> Limits:
    wanted = (container.get("resources") or {}).get("limits") or {}
    memory, cpu = wanted.get("memory"), wanted.get("cpu")
    return Limits(int(quantity(memory)) if memory is not None else None, quantity(cpu) if cpu is not None else None)
