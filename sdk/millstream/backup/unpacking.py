"""Unpacks a tar file into a folder and nowhere else, also with a Python whose `tarfile` knows no filters yet (3.11.2,
which Debian 12 has). What it is given may be anybody's: a name or link that leads out is an error, not followed.
"""

from __future__ import annotations

import tarfile
from pathlib import Path
from typing import Any


def unpack(tar: tarfile.TarFile, folder: Path, *, links: bool) -> None:
    """Files and folders of `tar`, with `links` symbolic and hard links too, wherever the former point.

    Raises tarfile.TarError for what may not be unpacked; what came before it is there then.
    """
    more: Any = {"filter": "tar" if links else "data"} if hasattr(tarfile, "data_filter") else {}
    for member in tar:
        _check(member, folder, links)  # also where there are filters: that of "tar" lets hard links lead out
        member.mode &= 0o755
        tar.extract(member, folder, **more)


def _check(member: tarfile.TarInfo, folder: Path, links: bool) -> None:
    if not (member.isreg() or member.isdir() or (links and (member.issym() or member.islnk()))):
        raise tarfile.ExtractError(f"{member.name!r} is neither a file nor a folder")
    for name in (member.name, *([member.linkname] if member.islnk() else [])):
        if Path(name).is_absolute() or not (folder / name).resolve().is_relative_to(folder.resolve()):
            raise tarfile.ExtractError(f"{name!r} leads out of the folder it is unpacked into")
