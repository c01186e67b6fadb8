"""Restores a laptop's home: a whole new home is built beside it and takes its name at the end, all of it or nothing."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from libs.base.clock import Clock
from millstream.backup import homefiles
from millstream.backup.archive import Reader
from millstream.backup.places import Places, of_home
from millstream.backup.restore import restore
from millstream.errors import ClientError
from millstream.home import Home
from millstream.platform import node_url

Tell = Callable[[str], None]


async def restore_home(reader: Reader, home: Home, *, force: bool, clock: Clock, tell: Tell) -> Path | None:
    """Returns where a home that was there went to, with `force`. Raises ClientError before anything was changed."""
    if reader.manifest["kind"] != "home":
        raise ClientError("this is the backup of a cluster: name the places with --store, --nats and --s3")
    if node_url(home) is not None:
        raise ClientError(f"{home.path} runs: `millstream down` first")
    if not force and not is_empty(home):
        raise ClientError(f"{home.path} is not empty; --force moves it aside and puts the backup in its place")
    stage = Home(home.path.with_name(home.path.name + ".restoring"))
    shutil.rmtree(stage.path, ignore_errors=True)
    stage.make()
    try:
        await _build(reader, stage, home, clock, tell)
        aside = _free_name(home.path.with_name(home.path.name + ".before-restore"))
        was_there = home.path.exists()
        if was_there:
            home.path.rename(aside)
        stage.path.rename(home.path)
    finally:
        shutil.rmtree(stage.path, ignore_errors=True)
    if was_there and not force:  # it held nothing
        shutil.rmtree(aside, ignore_errors=True)
    return aside if was_there and force else None


async def _build(reader: Reader, stage: Home, home: Home, clock: Clock, tell: Tell) -> None:
    places: Places = of_home(stage)
    parts = reader.manifest["parts"]
    for path in (Path(url.removeprefix("sqlite:///")) for url in places.stores.values()):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    await restore(reader, places, force=False, clock=clock, tell=tell)
    homefiles.put_back(reader, stage, parts["home"], home.settings)
    homefiles.put_claims_back(reader, stage, parts["claims"])
    tell(f"home: {len(parts['home'])} files, {len(parts['claims'])} claims")


def is_empty(home: Home) -> bool:
    """Whether no platform ever kept anything here: chosen ports and logs do not count."""
    data = home.path / "data"
    return not (home.path / "node" / "store.db").exists() and not (data.is_dir() and any(data.rglob("*")))


def _free_name(path: Path) -> Path:
    number = 1
    while (found := path if number == 1 else path.with_name(f"{path.name}-{number}")).exists():
        number += 1
    return found
