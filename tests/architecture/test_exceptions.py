"""An exception to a rule carries its reason, and one that no longer matches anything fails."""

from __future__ import annotations

import configparser
import fnmatch
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.architecture.tree import PARTS, ROOT, mentions, module_of, python_files, relative

CONFIG = tomllib.loads((ROOT / "pyproject.toml").read_text())
IGNORED: dict[str, list[str]] = CONFIG["tool"]["ruff"]["lint"]["per-file-ignores"]
CLOCK_RULE = "TID251"

BARE = re.compile(r"# no" + r"qa(?!: )|# type: ig" + r"nore(?!\[)")

RULES = configparser.ConfigParser()
RULES.read(ROOT / ".importlinter")
HOMES = [name for name in RULES.sections() if RULES[name].get("type") == "protected"]


def _ruff(*options: str) -> list[dict[str, str]]:
    ruff = str(Path(sys.executable).parent / "ruff")
    command = [ruff, "check", "--output-format", "json", "--no-cache", *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), done.stderr
    return list(json.loads(done.stdout))


def test_services_take_time_and_chance_as_arguments() -> None:
    found = [f"{hit['filename']}:{hit['location']['row']} {hit['message']}" for hit in _ruff("--select", CLOCK_RULE)]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("call", ["time.time()", "datetime.datetime.now()", "uuid.uuid4()", "random.random()"])
def test_the_clock_rule_says_what_to_write_instead(call: str) -> None:
    source = f"import {call.split('.')[0]}\n\nx = {call}\n"
    ruff = str(Path(sys.executable).parent / "ruff")
    command = [ruff, "check", "--select", CLOCK_RULE, "--stdin-filename", "services/trainer/app.py", "-"]
    told = subprocess.run(command, cwd=ROOT, input=source, capture_output=True, text=True, check=False).stdout
    assert CLOCK_RULE in told and "libs.base" in told, told


def test_every_folder_that_may_look_at_the_clock_does() -> None:
    hits = _ruff("--select", CLOCK_RULE, "--config", "lint.per-file-ignores = {}")
    files = [str(Path(hit["filename"]).relative_to(ROOT)) for hit in hits]
    gone = [pattern for pattern, rules in IGNORED.items() if CLOCK_RULE in rules and not fnmatch.filter(files, pattern)]
    assert not gone, f"these exceptions match nothing any more: {gone}"


def test_every_exception_to_a_lint_rule_carries_its_reason() -> None:
    lines = (ROOT / "pyproject.toml").read_text().splitlines()
    bare = [line for line in lines if line.partition(" = ")[0].strip('"') in IGNORED and "#" not in line]
    assert not bare, bare


@pytest.mark.parametrize("home", HOMES)
def test_every_room_that_may_use_a_client_uses_it(home: str) -> None:
    clients = RULES[home]["protected_modules"].split()
    allowed = [line for line in RULES[home]["allowed_importers"].split("\n") if line and not line.startswith("#")]
    users = {
        module_of(path)
        for path in python_files()
        if any(name == client or name.startswith(f"{client}.") for name in mentions(path) for client in clients)
    }
    # Doubles are imported by tests alone, so no module of the tree has to use them.
    gone = [
        room
        for room in allowed
        if home != "importlinter:contract:doubles"
        and not any(fnmatch.fnmatch(user, room) or fnmatch.fnmatch(user, f"{room}.*") for user in users)
    ]
    assert not gone, f"{RULES[home]['name']}: these may and do not, so take them out: {gone}"


def test_every_silenced_finding_names_its_rule() -> None:
    bare = []
    for path in python_files(*PARTS, "tests", "benchmarks"):
        for number, line in enumerate(path.read_text().splitlines(), 1):
            if BARE.search(line):
                bare.append(f"{relative(path)}:{number}")
    assert not bare, f"name the rule that is silenced: {bare}"
