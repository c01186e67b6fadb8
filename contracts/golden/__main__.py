"""`python -m contracts.golden`: see the package. Refuses to write a schema that breaks what its file promised."""

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from contracts.golden.asyncapi import Speaker
from contracts.golden.files import HOME, broken, differences, documents, promised_at, promised_on_disk, write

SERVICES = HOME.parent.parent / "services"


def speakers(services: Path = SERVICES) -> list[Speaker]:
    """Who says and hears what, from every `services/*/service.yaml`."""
    manifests = [yaml.safe_load(path.read_text()) for path in sorted(services.glob("*/service.yaml"))]
    return [Speaker(m["name"], tuple(m.get("says") or ()), tuple(m.get("hears") or ())) for m in manifests]


def main(argv: list[str] | None = None) -> int:
    """Exit status 0 if all is well."""
    options = _options(argv)
    wanted = documents(speakers())
    promises = promised_at(options.against) if options.against else promised_on_disk()
    failures = [] if options.accept_breaking else broken(wanted, promises)
    for sentence in failures:
        print(f"breaking: {sentence}", file=sys.stderr)
    if failures:
        print("a changed meaning is a new version: write it into v<N+1>.py beside the old one", file=sys.stderr)
        return 1
    return _check(wanted) if options.check or options.against else _write(wanted)


def _check(wanted: Mapping[str, Any]) -> int:
    stale = differences(wanted)
    for path in stale:
        print(f"stale: contracts/golden/{path}; run `make golden` and read the diff", file=sys.stderr)
    return 1 if stale else 0


def _write(wanted: Mapping[str, Any]) -> int:
    for path in write(wanted):
        print(f"contracts/golden/{path}")
    return 0


def _options(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m contracts.golden", description="The contracts' golden files.")
    parser.add_argument(
        "--check", action="store_true", help="write nothing; fail if a file is stale or a promise broken"
    )
    parser.add_argument("--against", metavar="REF", help="check against the promises of this git revision")
    parser.add_argument("--accept-breaking", action="store_true", help="for what was never released")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
