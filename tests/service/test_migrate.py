"""`python -m services.<name> migrate`: the tables before the code; safe for several pods at once."""

import os
import re
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from sqlalchemy import make_url

from libs.testing.bus_server import free_port
from libs.testing.store_postgres import running_postgres

ROOT = Path(__file__).resolve().parents[2]


def service(name: str, *arguments: str, url: str = "", **more: str) -> subprocess.Popen[str]:
    environ = {"PATH": os.environ["PATH"], "MILLSTREAM_STORE_URL": url, "MILLSTREAM_INSECURE": "true", **more}
    return subprocess.Popen(
        [sys.executable, "-m", f"services.{name}", *arguments],
        env=environ, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip


def answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def outcome(process: subprocess.Popen[str]) -> tuple[int, str]:
    said, _ = process.communicate(timeout=120)
    return process.returncode, said


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path):
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/store.db"
        return
    with running_postgres() as server:
        yield server.new_database()


def test_of_several_at_once_one_migrates_and_the_others_wait(url: str):
    several = [service("registry", "migrate", url=url) for _ in range(4)]
    answers = [outcome(each) for each in several]
    assert [code for code, _ in answers] == [0] * 4, answers
    assert sorted(said.strip() for _, said in answers) == [
        *["registry: the tables are already up to date"] * 3,
        "registry: the tables are now up to date",
    ]


def test_a_service_that_may_not_migrate_refuses_an_empty_store_and_starts_on_a_migrated_one(tmp_path: Path):
    url = f"sqlite:///{tmp_path}/store.db"
    code, said = outcome(service("registry", url=url, MILLSTREAM_MIGRATE="false", MILLSTREAM_PORT="0"))
    assert code == 1
    assert re.fullmatch(r"cannot start: the store \S+ does not exist yet: run the service's `migrate` .*\n", said)
    assert outcome(service("registry", "migrate", url=url)) == (0, "registry: the tables are now up to date\n")
    port = free_port()
    running = service("registry", url=url, MILLSTREAM_MIGRATE="false", MILLSTREAM_PORT=str(port))
    deadline = time.monotonic() + 60
    while not answers(port):
        assert running.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    running.terminate()
    assert outcome(running)[0] == 0


def test_a_store_out_of_reach_is_one_clear_line(tmp_path: Path):
    code, said = outcome(service("registry", "migrate", url="postgresql://nobody@127.0.0.1:9/none"))
    assert code == 1
    assert said.startswith("cannot start: the store cannot be reached:")
    assert said.count("\n") == 1


def test_it_waits_for_a_database_that_comes_up_beside_it_and_says_what_it_waits_for_once():
    with running_postgres() as server:
        existing = make_url(server.new_database())
        late = existing.set(database="made_later").render_as_string(hide_password=False)
        waiting = service("registry", "migrate", "--wait", "60", url=late)
        assert waiting.stdout is not None
        assert waiting.stdout.readline().startswith("waiting: the store cannot be reached:")
        with pytest.raises(subprocess.TimeoutExpired):
            waiting.wait(5)
        server.make_database("made_later")
        code, said = outcome(waiting)
    assert code == 0
    assert [line for line in said.splitlines() if line.startswith("registry")] == [
        "registry: the tables are now up to date"
    ]
    assert "waiting" not in said


@pytest.mark.parametrize("name", ["gateway", "trainer"])
def test_every_service_explains_its_arguments(name: str):
    code, said = outcome(service(name, "--help"))
    assert code == 0
    assert said.startswith(f"usage: python -m services.{name} [-h] [--wait SECONDS] [{{migrate}}]")
    code, said = outcome(service(name, "migarte"))
    assert code == 2
    assert "invalid choice: 'migarte'" in said


def test_what_keeps_no_store_has_nothing_to_migrate():
    key = "-----BEGIN PUBLIC KEY-----"
    code, said = outcome(service("gateway", "migrate", MILLSTREAM_IDENTITY_PRIVATE_KEY=key))
    assert (code, said) == (0, "gateway keeps no store: nothing to migrate\n")
