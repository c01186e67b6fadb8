"""Writes the first lines of a new service, event or kind in the shape the rules expect; says what is left to do.

python -m millstream.dev.scaffold service billing
python -m millstream.dev.scaffold event training.trainjob.paused.v1
python -m millstream.dev.scaffold kind Notebook kubeflow.org v1 notebooks
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path

from millstream.dev import templates
from millstream.dev.deploy import tree as deploy


class Refused(Exception):
    """The request makes no sense; the message says what would."""


def new_service(root: Path, name: str) -> list[str]:
    """The rooms of a service, its manifests and a first test. Answers what the author does next."""
    if not re.fullmatch(r"[a-z][a-z0-9]{1,30}", name):
        raise Refused(f"{name!r} is no service name: lower-case letters and digits, such as `billing`")
    if (root / "services" / name).exists():
        raise Refused(f"services/{name} exists already")
    for path, text in templates.service_files(name).items():
        write(root / path, text)
    deploy.write(root)
    return [f"say in services/{name}/service.yaml what it owns, says, hears and needs, then `make golden`"]


def new_event(root: Path, type: str) -> list[str]:
    """A class in `contracts/events/<domain>/v<N>.py`."""
    found = re.fullmatch(r"([a-z][a-z0-9]*)\.([a-z][a-z0-9]*)\.([a-z][a-z0-9]*)\.v([1-9][0-9]*)", type)
    if not found:
        raise Refused(f"{type!r} is no event type: <domain>.<noun>.<participle>.v<N>, as training.trainjob.paused.v1")
    domain, noun, verb, version = found.groups()
    module = root / "contracts" / "events" / domain / f"v{version}.py"
    if module.exists() and f'"{type}"' in module.read_text():
        raise Refused(f"{type} is in {module.relative_to(root)} already")
    write_once(module.parent / "__init__.py", f'"""What is said about {domain}."""\n')
    write_once(module, templates.event_module(domain, version))
    with module.open("a") as file:
        file.write(templates.event_class(type, templates.class_name(noun, verb)))
    return [
        "give the class its fields and a docstring that says what is true once it is said",
        "name it in `says:` of the speaker's service.yaml and in `hears:` of each hearer's",
        "return it where it becomes true; handle it in a `when_...` of each hearer",
        "run `make golden` and read the diff",
    ]


def new_kind(root: Path, kind: str, group: str, version: str, service: str) -> list[str]:
    """`contracts/kinds/<kind>.py` with the model of the kind."""
    if not re.fullmatch(r"[A-Z][A-Za-z0-9]+", kind):
        raise Refused(f"{kind!r} is no kind: CamelCase, such as Notebook")
    if not re.fullmatch(r"v[1-9][0-9]*((alpha|beta)[1-9][0-9]*)?", version):
        raise Refused(f"{version!r} is no version: v1, v1beta1, v1alpha1 ...")
    if not (root / "services" / service / "service.yaml").exists():
        raise Refused(f"there is no service {service!r}: `make new-service NAME={service}` first")
    module = root / "contracts" / "kinds" / f"{kind.lower()}.py"
    if module.exists():
        raise Refused(f"{module.relative_to(root)} exists already")
    write(module, templates.kind_module(kind, group, version))
    return [
        f"write the fields of its spec and status in {module.relative_to(root)}",
        f"add `{templates.plural(kind)}.{group}/{version}` to `owns:` in services/{service}/service.yaml",
        f"declare the Kind and a reconciler in services/{service} (see services/trainer for a model)",
        "run `make golden` and read the diff",
    ]


def write(path: Path, text: str) -> None:
    """A new file with its folders; an old one is never touched."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("x") as file:
        file.write(text)


def write_once(path: Path, text: str) -> None:
    if not path.exists():
        write(path, text)


MAKERS = {"service": (new_service, 1), "event": (new_event, 1), "kind": (new_kind, 4)}


def main(arguments: Sequence[str], root: Path) -> int:
    """Run one maker on the checkout at `root`; 2 for a request that makes no sense."""
    if not arguments or arguments[0] not in MAKERS:
        print(__doc__)
        return 2
    maker, count = MAKERS[arguments[0]]
    try:
        if len(arguments) != count + 1 or not all(arguments):
            raise Refused(f"a new {arguments[0]} takes {count} words; see `make`")
        left = maker(root, *arguments[1:])  # type: ignore[operator]
    except Refused as reason:
        print(f"refused: {reason}")
        return 2
    print("written. What is left to do:")
    for step in left:
        print(f"  - {step}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], Path.cwd()))
