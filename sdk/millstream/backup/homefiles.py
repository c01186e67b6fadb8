"""The files of a laptop's home that no server keeps: secrets, keys, certificates, and the folders of claims."""

from __future__ import annotations

import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path

from millstream.backup.archive import Reader, Writer, inside
from millstream.backup.unpacking import unpack
from millstream.errors import ClientError
from millstream.home import SYSTEM_NAMESPACE, Home

KEPT = ("secrets.json", "token", "settings.json", "node/keys", "tls")
"""With these the restored platform knows the passwords, tokens and certificates that clients hold."""
OWN_CLAIMS = ("data", "nats-data", "s3-data")
"""Claims of the platform itself, whose contents are kept as stores, streams and bucket."""


def keep(home: Home, writer: Writer) -> list[str]:
    """The names of the files that were kept."""
    names = []
    for path in _files(home.path):
        name = path.relative_to(home.path).as_posix()
        shutil.copyfile(path, writer.path(f"home/{name}"))
        writer.add(f"home/{name}")
        names.append(name)
    return names


def _files(home: Path) -> Iterator[Path]:
    for word in KEPT:
        place = home / word
        yield from sorted(p for p in place.rglob("*") if p.is_file()) if place.is_dir() else [place][: place.is_file()]


def keep_claims(home: Home, writer: Writer) -> dict[str, int]:
    """`namespace/claim` -> bytes of its archive. Files that vanish meanwhile belong to the moment after."""
    told = {}
    for folder in sorted((home.path / "data").glob("*/*")):
        namespace, claim = folder.parent.name, folder.name
        if not folder.is_dir() or (namespace == SYSTEM_NAMESPACE and claim in OWN_CLAIMS):
            continue
        name = f"claims/{namespace}/{claim}.tar"
        with tarfile.open(writer.path(name), "w") as tar:
            _pack(tar, folder)
        told[f"{namespace}/{claim}"] = int(writer.add(name)["bytes"])
    return told


def _pack(tar: tarfile.TarFile, folder: Path) -> None:
    """Files, folders and links; sockets and pipes are of no use without the process that made them."""
    for path in sorted(folder.rglob("*")):
        try:
            info = tar.gettarinfo(path, path.relative_to(folder).as_posix())
            if info is None or not (info.isfile() or info.isdir() or info.issym() or info.islnk()):
                continue
            if info.isfile():
                with path.open("rb") as file:
                    tar.addfile(info, file)
            else:
                tar.addfile(info)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise ClientError(f"{path} changed while it was read ({error}): stop its writer, or --no-claims") from error


def put_back(reader: Reader, home: Home, names: list[str], settings: Path | None) -> None:
    """The files of the home; `settings`, the ports of a home that is there already, wins over the archive's."""
    for name in names:
        target = inside(home.path, name)
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        shutil.copyfile(reader.path(f"home/{name}"), target)
        target.chmod(0o600)
    if settings is not None and settings.exists():
        shutil.copyfile(settings, home.settings)


def put_claims_back(reader: Reader, home: Home, claims: dict[str, int]) -> None:
    for claim in claims:
        folder = inside(home.path / "data", claim)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            with tarfile.open(reader.path(f"claims/{claim}.tar")) as tar:
                unpack(tar, folder, links=True)
        except tarfile.TarError as error:
            raise ClientError(f"the archive's files of claim {claim} cannot be unpacked: {error}") from error
