"""The texts that the scaffold writes."""

from __future__ import annotations

APP = '''"""The {name} service put together: this is the one place that knows all its parts."""

from __future__ import annotations

from pathlib import Path

from libs.service.app import App
from libs.service.manifest import load


def build() -> App:
    """The parts of the service; opens nothing."""
    return App(manifest=load(Path(__file__).parent / "service.yaml"))
'''

MAIN = '''"""`python -m services.{name}`: the service as a process, told what to do by MILLSTREAM_* variables."""

from libs.service import run
from services.{name}.app import build

if __name__ == "__main__":
    run(build)
'''

MANIFEST = """name: {name}
port: 8080
owns: []
says: []
hears: []
needs: [store]
creates: []
routes: []
"""

TEST = '''"""The {name} service starts from its manifest."""

from services.{name}.app import build


def test_the_manifest_names_the_service() -> None:
    assert build().manifest.name == "{name}"
'''

KIND = '''"""{kind} ({group}/{version}): the fields that clients send and read."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

GROUP, VERSION = "{group}", "{version}"


class {kind}Spec(BaseModel):
    """What the user asks for."""

    model_config = ConfigDict(populate_by_name=True)


class {kind}Status(BaseModel):
    """What is true."""

    model_config = ConfigDict(populate_by_name=True)

    observed_generation: int | None = Field(default=None, alias="observedGeneration")


class {kind}(BaseModel):
    """One {kind}."""

    model_config = ConfigDict(populate_by_name=True)

    api_version: str = Field(default="{group}/{version}", alias="apiVersion")
    kind: str = "{kind}"
    metadata: dict[str, object]
    spec: {kind}Spec
    status: {kind}Status | None = None


KINDS = ({kind},)
'''


def service_files(name: str) -> dict[str, str]:
    """Path -> text of everything that a new service consists of."""
    room = f"services/{name}"
    texts = {
        f"{room}/__init__.py": '"""The {name} service."""\n',
        f"{room}/__main__.py": MAIN,
        f"{room}/app.py": APP,
        f"{room}/service.yaml": MANIFEST,
        f"{room}/domain/__init__.py": '"""States and decisions of {name}: pure functions over frozen values."""\n',
        f"tests/services/{name}/__init__.py": "",
        f"tests/services/{name}/test_app.py": TEST,
    }
    return {path: text.format(name=name) for path, text in texts.items()}


def class_name(noun: str, verb: str) -> str:
    """`trainjob`, `paused` -> `TrainjobPaused` (the author corrects the capitals of compounds)."""
    return noun.capitalize() + verb.capitalize()


def event_module(domain: str, version: str) -> str:
    return (
        f'"""What is said about {domain}, version {version}: only optional fields are ever added here."""\n\n'
        "from typing import ClassVar\n\nfrom contracts.messages import ObjectEvent\n"
    )


def event_class(type: str, name: str) -> str:
    return f'\n\nclass {name}(ObjectEvent):\n    """{name}."""\n\n    type: ClassVar[str] = "{type}"\n'


def kind_module(kind: str, group: str, version: str) -> str:
    return KIND.format(kind=kind, group=group, version=version)


def plural(kind: str) -> str:
    """The plural as Kubernetes would spell it."""
    word = kind.lower()
    if word.endswith("y") and word[-2] not in "aeiou":
        return word[:-1] + "ies"
    return word + ("es" if word.endswith(("s", "x", "z", "ch", "sh")) else "s")
