"""Contents of volumes on this machine's disk; files appear whole (rename) and old ones go."""

import asyncio
import contextlib
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from services.node.domain.environment import ConfigError
from services.node.domain.volumes import Claim, FileSet, HostDir, Volume
from services.node.runtime.paths import safe

Object = dict[str, Any]


class DiskVolumes:
    """emptyDir and file volumes below the pod's directory, claims below `data/<namespace>/<claim>`."""

    def __init__(self, pod_path: Callable[[str], Path], data: Path) -> None:
        self._pod_path, self._data = pod_path, data

    async def put(self, pod: Object, name: str, volume: Volume) -> Path:
        """Makes the volume as it should be now; other contents of an emptyDir or claim stay."""
        if isinstance(volume, HostDir):
            return Path(volume.path)
        if isinstance(volume, Claim):
            return await self.put_claim(pod["metadata"]["namespace"], volume.name)
        place = self._pod_path(pod["metadata"]["uid"]) / "volumes" / safe(name)
        await asyncio.to_thread(_write, place, volume if isinstance(volume, FileSet) else None)
        return place

    async def put_claim(self, namespace: str, name: str) -> Path:
        place = self._data / safe(namespace) / safe(name)
        await asyncio.to_thread(place.mkdir, 0o700, True, True)
        return place

    async def remove_claim(self, namespace: str, name: str) -> None:
        await asyncio.to_thread(shutil.rmtree, self._data / safe(namespace) / safe(name), True)


def _write(place: Path, files: FileSet | None) -> None:
    place.mkdir(parents=True, exist_ok=True)
    if files is None:
        return
    for relative in files.files:
        if not (place / relative).resolve().is_relative_to(place.resolve()):
            raise ConfigError(f"file {relative!r} would lie outside its volume")
    for relative, (content, mode) in files.files.items():
        _write_file(place / relative, content, mode)
    wanted = {place / relative for relative in files.files}
    for found in [p for p in place.rglob("*") if p.is_file() and p not in wanted]:
        found.unlink()


def _write_file(path: Path, content: bytes, mode: int) -> None:
    with contextlib.suppress(OSError):
        if path.read_bytes() == content and path.stat().st_mode & 0o777 == mode:
            return
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    part.unlink(missing_ok=True)
    part.write_bytes(content)
    part.chmod(mode)
    part.replace(path)
