"""Contents of volumes on this machine's disk; files appear whole (rename) and old ones go."""

import asyncio
import contextlib
import os
import shutil
from collections.abc import Callable, Mapping
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

    async def put(self, pod: Object, volumes: Mapping[str, Volume]) -> dict[str, Path]:
        """Makes the volumes as they should be now; other contents of an emptyDir or claim stay."""
        return await asyncio.to_thread(self._put, pod["metadata"]["namespace"], pod["metadata"]["uid"], volumes)

    def _put(self, namespace: str, uid: str, volumes: Mapping[str, Volume]) -> dict[str, Path]:
        folder, places = self._pod_path(uid) / "volumes", {}
        for name, volume in volumes.items():
            if isinstance(volume, HostDir):
                places[name] = Path(volume.path)
            elif isinstance(volume, Claim):
                places[name] = self._data / safe(namespace) / safe(volume.name)
                places[name].mkdir(0o700, True, True)
            else:
                places[name] = folder / safe(name)
                _write(places[name], volume if isinstance(volume, FileSet) else None)
        return places

    async def put_claim(self, namespace: str, name: str) -> Path:
        place = self._data / safe(namespace) / safe(name)
        await asyncio.to_thread(place.mkdir, 0o700, True, True)
        return place

    async def remove_claim(self, namespace: str, name: str) -> None:
        await asyncio.to_thread(shutil.rmtree, self._data / safe(namespace) / safe(name), True)


def _write(place: Path, files: FileSet | None) -> None:
    is_new = not place.exists()
    place.mkdir(parents=True, exist_ok=True)
    if files is None:
        return
    for relative in files.files:
        if "/" in relative and not (place / relative).resolve().is_relative_to(place.resolve()):
            raise ConfigError(f"file {relative!r} would lie outside its volume")
    for relative, (content, mode) in files.files.items():
        (_write_new if is_new else _write_file)(place / relative, content, mode)
    if is_new:
        return
    wanted = {place / relative for relative in files.files}
    for found in [p for p in place.rglob("*") if p.is_file() and p not in wanted]:
        found.unlink()


def _write_new(path: Path, content: bytes, mode: int) -> None:
    """Nobody sees the volume yet; what a crash leaves of it here is put right when the pod is looked at again."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("xb") as file:
        os.fchmod(file.fileno(), mode)
        file.write(content)


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
