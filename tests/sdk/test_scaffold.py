"""What a change costs: each of CONTRIBUTING.md's is made in a copy of the repository, which then passes every rule."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from millstream.dev import templates
from millstream.dev.deploy.tree import of_service
from millstream.dev.scaffold import Refused, new_event, new_kind, new_service

from libs.service.manifest import Manifest

pytestmark = pytest.mark.timeout(400)  # of a busy machine: whole checks run in a copy of the repository
ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
EVENT, KIND, OWNER, HEARER = "billing.invoice.opened.v1", "Run", "billing", "scheduler"
NUMBERS = {
    "one": 1,
    "two": 2,
    "three": 3,
    "four": 4,
    "five": 5,
    "six": 6,
    "ten": 10,
    "eleven": 11,
    "twelve": 12,
    "thirteen": 13,
}

RECONCILE = '''"""Brings what runs towards what a Run asks for; decides from the object alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from contracts.envelope import Event
from contracts.events.billing.v1 import InvoiceOpened
from contracts.kinds.run import GROUP, VERSION, Run
from libs.resources.kinds import Kind
from libs.resources.reconcile import Context, Key, Owned, Requeue


def _facts(op: str, obj: dict[str, Any], old: dict[str, Any] | None) -> Sequence[Event]:
    about = {word: obj["metadata"][word] for word in ("namespace", "name", "uid")}
    return [InvoiceOpened(**about, step="first")] if op == "ADDED" else []


RUN = Kind(group=GROUP, version=VERSION, kind="Run", plural="runs", singular="run", model=Run, events=_facts)


class Runs:
    """The reconciler of Run."""

    kind = RUN
    owned: Sequence[Owned] = ()

    async def reconcile(self, key: Key, ctx: Context) -> Requeue | None:
        return None
'''


class Copy:
    """A copy of the working tree under git, so that each change can be counted."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.environment = {**os.environ, "PYTHONPATH": f"{home}:{home / 'sdk'}", "PYTHONDONTWRITEBYTECODE": "1"}
        listed = self._out("git", "ls-files", "--cached", "--others", "--exclude-standard", cwd=ROOT).splitlines()
        for name in filter(lambda name: (ROOT / name).is_file(), listed):
            (home / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, home / name)
        self._out("git", "init", "-q")
        self.commit()

    def commit(self) -> None:
        self._out("git", "add", "-A")
        self._out("git", "-c", "user.name=t", "-c", "user.email=t@t", "commit", "-q", "--allow-empty", "-m", "so far")

    def scaffold(self, *words: str) -> list[str]:
        """What the tool says is left to do; its files count as written."""
        told = self.run("python", "-m", "millstream.dev.scaffold", *words)
        assert told.returncode == 0, told.stdout + told.stderr
        self.commit()
        return re.findall(r"^  - (.*)$", told.stdout, re.MULTILINE)

    def edit(self, path: str, *changes: tuple[str, str]) -> None:
        text = (self.home / path).read_text()
        for old, new in changes:
            assert old in text, f"{path} has no {old!r}"
            text = text.replace(old, new, 1)
        (self.home / path).write_text(text)

    def touched(self) -> list[str]:
        """Files changed or made by hand since the last commit."""
        return [line[3:] for line in self._out("git", "status", "--porcelain", "-uall").splitlines()]

    def run(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [str(BIN / program), *arguments]
        return subprocess.run(
            command, cwd=self.home, env=self.environment, capture_output=True, text=True, check=False, timeout=240
        )

    def _out(self, *command: str, cwd: Path | None = None) -> str:
        done = subprocess.run(command, cwd=cwd or self.home, capture_output=True, text=True, check=True)
        return done.stdout


@pytest.fixture(scope="module")
def costs() -> dict[str, list[str]]:
    """Files edited by hand for each change, filled by `copy`."""
    return {}


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory, costs: dict[str, list[str]]) -> Iterator[Copy]:
    copy = Copy(tmp_path_factory.mktemp("copy"))
    for name, make in {"new service": _a_new_service, "new event": _a_new_event, "new kind": _a_new_kind}.items():
        make(copy)
        costs[name] = copy.touched()
        for generator in ("contracts.golden", "millstream.dev.deploy", "millstream.dev.images"):
            done = copy.run("python", "-m", generator)
            assert done.returncode == 0, done.stderr
        copy.commit()
    yield copy


def _a_new_service(copy: Copy) -> None:
    left = copy.scaffold("service", OWNER)
    assert left == ["say in services/billing/service.yaml what it owns, says, hears and needs, then `make golden`"]


def _a_new_event(copy: Copy) -> None:
    copy.scaffold("event", EVENT)
    copy.edit(
        "contracts/events/billing/v1.py",
        ('"""InvoiceOpened."""', '"""The first step of the run has begun."""'),
        (f'= "{EVENT}"\n', f'= "{EVENT}"\n    step: str\n'),
    )
    (copy.home / "services" / OWNER / "handlers.py").write_text(
        '"""What billing says when something was said; no client library here."""\n\n'
        "from collections.abc import Sequence\nfrom typing import Any\n\nfrom contracts.envelope import Event\n"
        "from contracts.events.billing.v1 import InvoiceOpened\n"
        "from contracts.events.training.v1 import TrainJobStarted"
        "\n\n\nasync def when_trainjob_started(event: TrainJobStarted, needs: Any) -> Sequence[Event]:\n"
        '    return [InvoiceOpened(namespace=event.namespace, name=event.name, uid=event.uid, step="train")]\n'
    )
    copy.edit(
        f"services/{OWNER}/app.py",
        ("from libs.service.app", "from contracts.events.training.v1 import TrainJobStarted\nfrom libs.service.app"),
        ("import load\n", f"import load\nfrom services.{OWNER} import handlers\n"),
        (
            'return App(manifest=load(Path(__file__).parent / "service.yaml"))',
            'return App(\n        manifest=load(Path(__file__).parent / "service.yaml"),\n'
            "        handlers={TrainJobStarted: handlers.when_trainjob_started},\n    )",
        ),
    )
    copy.edit(
        f"services/{OWNER}/service.yaml",
        ("says: []", f"says: [{EVENT}]"),
        ("hears: []", "hears: [training.trainjob.started.v1]"),
        ("needs: [store]", "needs: [store, bus]"),
    )
    copy.edit(
        f"services/{HEARER}/handlers.py",
        ("from contracts.events.", "from contracts.events.billing.v1 import InvoiceOpened\nfrom contracts.events."),
    )
    with (copy.home / f"services/{HEARER}/handlers.py").open("a") as file:
        file.write(
            "\n\nasync def when_invoice_opened(event: InvoiceOpened, needs: Needs) -> Sequence[Event]:\n    return []\n"
        )
    copy.edit(
        f"services/{HEARER}/app.py",
        ("from contracts.events.", "from contracts.events.billing.v1 import InvoiceOpened\nfrom contracts.events."),
        ("handlers={\n", "handlers={\n            InvoiceOpened: handlers.when_invoice_opened,\n"),
    )
    copy.edit(f"services/{HEARER}/service.yaml", ("hears:\n", f"hears:\n  - {EVENT}\n"))


def _a_new_kind(copy: Copy) -> None:
    copy.scaffold("kind", KIND, "billing.millstream.dev", "v1", OWNER)
    copy.edit(
        "contracts/kinds/run.py",
        (
            '"""What the user asks for."""\n\n    model_config = ConfigDict(populate_by_name=True)\n',
            '"""What the user asks for."""\n\n    model_config = ConfigDict(populate_by_name=True)\n\n    steps: int\n',
        ),
    )
    (copy.home / "services" / OWNER / "reconcile.py").write_text(RECONCILE)
    copy.edit(
        f"services/{OWNER}/app.py",
        ("import handlers\n", f"import handlers\nfrom services.{OWNER}.reconcile import RUN, Runs\n"),
        (
            "        handlers={",
            "        kinds=(RUN,),\n        reconcilers=lambda ports: [Runs()],\n        handlers={",
        ),
    )
    copy.edit(f"services/{OWNER}/service.yaml", ("owns: []", "owns: [runs.billing.millstream.dev/v1]"))


def test_a_service_costs_no_line_but_its_own(copy: Copy, costs: dict[str, list[str]]) -> None:
    assert costs["new service"] == []


def test_an_event_costs_its_fields_its_speaker_its_hearer_and_their_manifests(
    copy: Copy, costs: dict[str, list[str]]
) -> None:
    parts = ("app.py", "handlers.py", "service.yaml")
    rooms = [f"services/{name}/{part}" for name in (OWNER, HEARER) for part in parts]
    assert sorted(costs["new event"]) == sorted(["contracts/events/billing/v1.py", *rooms])


def test_a_kind_costs_its_fields_a_reconciler_and_a_word(copy: Copy, costs: dict[str, list[str]]) -> None:
    parts = ("app.py", "reconcile.py", "service.yaml")
    assert sorted(costs["new kind"]) == ["contracts/kinds/run.py", *(f"services/{OWNER}/{part}" for part in parts)]


def test_a_new_service_has_its_image(copy: Copy) -> None:
    listed = (copy.home / "deploy" / "images" / OWNER / "files.txt").read_text().splitlines()
    assert {f"services/{OWNER}/app.py", f"services/{OWNER}/service.yaml", "libs/service"} <= set(listed)


def test_the_table_of_costs_tells_the_number_of_files_that_the_tool_writes() -> None:
    told = re.search(r"`make new-service NAME=\w+` writes (\w+) files", (ROOT / "CONTRIBUTING.md").read_text())
    assert told and NUMBERS[told[1]] == len(_files_of_a_service())


def _files_of_a_service() -> list[str]:
    return [*templates.service_files("any"), *(made.path for made in of_service(Manifest(name="any")))]


@pytest.mark.parametrize(
    "check",
    [
        (
            "ruff",
            "check",
            "--no-cache",
            "contracts",
            "services/billing",
            "services/scheduler",
            "tests/services/billing",
        ),
        ("lint-imports", "--no-cache"),
        ("python", "-m", "contracts.golden", "--check"),
        ("python", "-m", "millstream.dev.images", "--check"),
        ("python", "-m", "millstream.dev.deploy", "--check"),
        ("python", "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/services/billing"),
    ],
    ids=" ".join,
)
def test_the_copy_with_all_of_it_passes(copy: Copy, check: tuple[str, ...]) -> None:
    done = copy.run(*check)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]


@pytest.mark.timeout(240)
def test_the_copy_passes_the_tests_of_the_architecture(copy: Copy) -> None:
    done = copy.run("python", "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/architecture")
    assert done.returncode == 0, done.stdout[-3000:]


def test_what_the_tool_writes_is_formatted(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text((ROOT / "pyproject.toml").read_text())
    (tmp_path / "services").mkdir()
    new_service(tmp_path, "billing")
    new_event(tmp_path, EVENT)
    new_kind(tmp_path, KIND, "billing.millstream.dev", "v1", "billing")
    done = subprocess.run([str(BIN / "ruff"), "format", "--diff", "."], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_the_deployment_of_the_copy_builds_with_the_new_service_and_its_volume(copy: Copy) -> None:
    built = copy.run("kubectl", "kustomize", "deploy/overlays/laptop")
    assert built.returncode == 0, built.stderr
    [billing] = [text for text in built.stdout.split("\n---\n") if "image: millstream/billing" in text]
    assert "claimName: data" in billing and "name: millstream-billing" in billing


def test_a_file_in_a_place_without_meaning_is_refused_in_a_new_service_too(copy: Copy) -> None:
    odd = copy.home / "services" / OWNER / "utilities.py"
    odd.write_text('"""Odds and ends."""\n')
    try:
        assert copy.run("lint-imports", "--no-cache").returncode != 0
    finally:
        odd.unlink()


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (lambda root: new_service(root, "Pipe-Lines"), "lower-case letters"),
        (lambda root: new_service(root, "trainer"), "exists already"),
        (lambda root: new_event(root, "training.started"), "<domain>.<noun>.<participle>.v<N>"),
        (lambda root: new_event(root, "training.trainjob.created.v1"), "already"),
        (lambda root: new_kind(root, "run", "a.b", "v1", "trainer"), "CamelCase"),
        (lambda root: new_kind(root, "Run", "a.b", "1", "trainer"), "v1beta1"),
        (lambda root: new_kind(root, "Run", "a.b", "v1", "nobody"), "make new-service NAME=nobody"),
        (lambda root: new_kind(root, "TrainJob", "a.b", "v1", "trainer"), "exists already"),
    ],
)
def test_a_request_that_makes_no_sense_is_refused_with_what_would(request_, words: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(Refused, match=re.escape(words)):
        request_(ROOT)
