"""`python -m millstream.dev.build trainer gateway`: builds images with whatever engine is here; without names, all.

It must run from a checkout; what goes into an image is decided in millstream.dev.images, and checked before a build.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from millstream.dev.engines import Engine, NoEngine, find
from millstream.dev.images import FOLDER, documents, drift, images
from millstream.dev.sources import Sources, pip_configuration, sources
from millstream.laptop import ROOT, manifests


class Refused(Exception):
    """The request cannot be met as it stands; the message says what can."""


def main(arguments: Sequence[str]) -> int:
    """1 when a build or a push fails, 2 for a request that makes no sense."""
    asked = _parser().parse_args(arguments)
    try:
        names = _chosen(asked.images)
        _check_prefix(asked.prefix)
        _check_written(names)
        engine, refused = find(asked.engine)
    except (Refused, NoEngine) as reason:
        print(f"refused: {reason}", file=sys.stderr)
        return 2
    for line in refused:
        print(f"not with {line}")
    places = sources(os.environ, pip_configuration())
    if places.folders and not engine.mounts_folders:
        print(f"docker cannot show a build the folders {', '.join(map(str, places.folders))}; podman and buildah can")
    built = []
    for name in names:
        tag = f"{asked.prefix}{name}:{asked.tag}"
        print(f"== {tag} ({len(built) + 1} of {len(names)}) with {engine.name}", flush=True)
        began = time.monotonic()
        if not build(engine, name, tag, places, asked.base, asked.option):
            print(f"{tag} could not be built: the engine's words stand above", file=sys.stderr)
            return 1
        built.append((tag, engine.size(tag), time.monotonic() - began))
        if asked.push and subprocess.run(engine.push(tag), check=False).returncode:
            print(f"{tag} could not be pushed: log in to its registry with `{engine.name} login`", file=sys.stderr)
            return 1
    for tag, size, took in built:
        print(f"{tag:<40} {size:>9} {took:6.0f} s{'  pushed' if asked.push else ''}")
    return 0


def build(engine: Engine, name: str, tag: str, places: Sources, base: str = "", options: Sequence[str] = ()) -> bool:
    """Build one image of this checkout; the engine talks to the terminal. False when it fails."""
    told = {"IMAGE": name, **_labels(), **({"BASE_IMAGE": base} if base else {})}
    folders = places.folders if engine.mounts_folders else ()
    with tempfile.TemporaryDirectory() as private:
        secrets = {}
        if script := places.script():
            secrets["index"] = Path(private) / "index"
            secrets["index"].write_text(script)
        if places.certificates:
            secrets["certificates"] = places.certificates
        command = engine.build(tag, FOLDER / "Dockerfile", told, secrets, folders, options)
        return subprocess.run(command, cwd=ROOT, env=engine.environment(), check=False).returncode == 0


def _labels() -> dict[str, str]:
    """What the labels say of the commit; nothing outside of a git checkout."""
    asked = {"REVISION": ["rev-parse", "HEAD"], "CREATED": ["log", "-1", "--format=%cI"]}
    found = {}
    for key, words in asked.items():
        done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=False)
        if done.returncode == 0 and done.stdout.strip():
            found[key] = done.stdout.strip()
    return {"VERSION": _version(), **found}


def _version() -> str:
    import tomllib

    return str(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"])


def _chosen(asked: Sequence[str]) -> list[str]:
    known = images(manifests())
    if unknown := [name for name in asked if name not in known]:
        raise Refused(f"no image is called {', '.join(unknown)}: choose from {', '.join(known)}")
    return list(asked or known)


def _check_prefix(prefix: str) -> None:
    if prefix and prefix[-1].isalnum():
        raise Refused(f"IMAGE_PREFIX={prefix} would name the image {prefix}trainer: end it with / (or -)")


def _check_written(names: Sequence[str]) -> None:
    known = images(manifests())
    written = {path: text for name in names for path, text in documents(known[name]).items()}
    differ = [path for path in drift(written) if Path(path) in written]
    if differ:
        raise Refused(
            f"{', '.join(differ)}: not what the code asks for any more; run `make golden` and look at the diff"
        )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make images", description="Build Millstream's container images.")
    parser.add_argument("images", nargs="*", help="which (all)")
    parser.add_argument("--prefix", default="millstream/", help="what stands before an image's name (millstream/)")
    parser.add_argument("--tag", default=_version(), help="the version, which the manifests name too (%(default)s)")
    parser.add_argument("--base", default="", help="another base image with Python 3.11 (the Dockerfile's)")
    parser.add_argument("--engine", default="", help="docker, podman or buildah (the first that works)")
    parser.add_argument("--push", action="store_true", help="push each image when it is built")
    parser.add_argument("--option", action="append", default=[], help="one more word for the engine's build command")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
