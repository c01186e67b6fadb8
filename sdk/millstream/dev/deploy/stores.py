"""Components that follow from who has a store or needs objects: which key of which Secret goes where; knows no URL."""

from __future__ import annotations

from collections.abc import Iterable
from textwrap import indent

from libs.service.manifest import Manifest
from millstream.dev.deploy.texts import fill


def external_postgres(manifests: Iterable[Manifest]) -> str:
    """One patch a service that has a store, for its container and for its migration."""
    return _component("postgres", [each for each in manifests if "store" in each.needs])


def external_s3(manifests: Iterable[Manifest]) -> str:
    """One patch a service that keeps blobs, or makes workloads and hands them the way to the store."""
    return _component("s3", [each for each in manifests if {"blobs", "cluster"} & set(each.needs)])


NIGHTLY = 'schedule: "43 2 * * *"'
NEVER = """schedule: "0 0 31 2 *" # no such day: a person makes a job of it
suspend: true"""
TAKE = """python -m millstream.cli backup "/backup/$(date -u +%Y%m%dT%H%M%SZ).tar.gz"{stores}
ls -1t /backup/*.tar.gz | tail -n +15 | xargs -r rm -f --"""
RESTORE = """archive="${{ARCHIVE:-$(ls -1 /backup | grep '\\.tar\\.gz$' | sort | tail -n 1)}}"
python -m millstream.cli restore "/backup/$archive" --scratch /backup ${{FORCE:+--force}}{stores}"""


def backup(manifests: Iterable[Manifest]) -> str:
    """The nightly job, which reads every store by its URL, be it the user's or the bootstrap's."""
    return _backup_job(manifests, "backup", NIGHTLY, TAKE)


def restore(manifests: Iterable[Manifest]) -> str:
    """The same pod the other way round, which runs when a person makes a job of it."""
    why = "# Restores the newest archive, or that of the variable ARCHIVE; docs/operations.md tells how.\n"
    return _backup_job(manifests, "restore", NEVER, RESTORE, why)


def _backup_job(manifests: Iterable[Manifest], name: str, schedule: str, script: str, why: str = "") -> str:
    stored = [each.name for each in manifests if "store" in each.needs]
    words = {name: name.upper().replace("-", "_") for name in stored}
    lines = (f' \\\n  --store {name}="${{OUTER_{word}:-$INNER_{word}}}"' for name, word in words.items())
    variables = "".join(fill("backup-store", name=name, word=word) for name, word in words.items())
    return fill(
        "backup",
        why=why,
        name=name,
        schedule=indent(schedule, " " * 2),
        script=indent(script.format(stores="".join(lines)), " " * 18),
        variables=variables.rstrip("\n"),
    )


def _component(name: str, users: Iterable[Manifest]) -> str:
    patches = "".join(fill(f"{name}-patch", name=each.name) for each in users)
    return fill(name, patches=patches.rstrip("\n"))
