"""Components that follow from who has a store or needs objects: which key of which Secret goes where; knows no URL."""

from __future__ import annotations

from collections.abc import Iterable

from libs.service.manifest import Manifest
from millstream.dev.deploy.texts import fill


def external_postgres(manifests: Iterable[Manifest]) -> str:
    """One patch a service that has a store, for its container and for its migration."""
    return _component("postgres", [each for each in manifests if "store" in each.needs])


def external_s3(manifests: Iterable[Manifest]) -> str:
    """One patch a service that keeps blobs, or makes workloads and hands them the way to the store."""
    return _component("s3", [each for each in manifests if {"blobs", "cluster"} & set(each.needs)])


def backup(manifests: Iterable[Manifest]) -> str:
    """The nightly job, which reads every store by its URL, be it the user's or the bootstrap's."""
    stored = [each.name for each in manifests if "store" in each.needs]
    words = {name: name.upper().replace("-", "_") for name in stored}
    lines = (
        f' \\\n                    --store {name}="${{OUTER_{word}:-$INNER_{word}}}"' for name, word in words.items()
    )
    variables = "".join(fill("backup-store", name=name, word=word) for name, word in words.items())
    return fill("backup", stores="".join(lines), variables=variables.rstrip("\n"))


def _component(name: str, users: Iterable[Manifest]) -> str:
    patches = "".join(fill(f"{name}-patch", name=each.name) for each in users)
    return fill(name, patches=patches.rstrip("\n"))
