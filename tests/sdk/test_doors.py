"""The files that point clients at a home, and the configuration of its broker and its edge proxy."""

from __future__ import annotations

import asyncio
import base64
import datetime as dt
import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nats
import nats.errors
import pytest
from millstream import brokerconf, edgeconf, keys
from millstream.client import Client
from millstream.errors import ClientError
from millstream.home import Home, Ports
from millstream.kubeconfig import kubeconfig, write_env, write_kubeconfig

from libs.service.manifest import Manifest
from libs.testing.bus_server import free_port

BIN = Path(sys.executable).parent
TRAINER = Manifest(name="trainer", says=("training.trainjob.created.v1",), hears=(), needs=("store", "bus"))
GATEWAY = Manifest(name="gateway")
LAST = "nobody.may.say.this"
PASSWORDS = {"trainer": "t-secret", brokerconf.PERSON: "p-secret"}


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path / "a home")
    home.make()
    home.keep_ports(Ports(http=18080, https=18443))
    keys.certificates(home, dt.datetime.now(dt.UTC))
    return home


def test_the_kubeconfig_names_https_the_homes_authority_and_the_token(home: Home) -> None:
    config = kubeconfig(home, "ms-token")
    cluster = config["clusters"][0]["cluster"]
    assert cluster["server"] == "https://127.0.0.1:18443"
    assert base64.b64decode(cluster["certificate-authority-data"]) == (home.tls / "ca.crt").read_bytes()
    assert config["users"][0]["user"] == {"token": "ms-token"}


def test_kubectl_reads_the_kubeconfig(home: Home) -> None:
    write_kubeconfig(home, "ms-token")
    command = [str(BIN / "kubectl"), "--kubeconfig", str(home.kubeconfig), "config", "view", "--minify", "-o", "json"]
    read = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert read["current-context"] == "millstream" and read["contexts"][0]["context"]["namespace"] == "default"
    assert home.kubeconfig.stat().st_mode & 0o777 == 0o600


def test_commands_that_people_are_told_to_type_lead_to_the_home_they_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other, own = Home(tmp_path / "a home"), Home(tmp_path)
    monkeypatch.setenv("MILLSTREAM_HOME", str(tmp_path))
    assert own.command("status") == "millstream status"
    assert other.command("status") == f"millstream status --home '{tmp_path}/a home'"
    with pytest.raises(ClientError, match=rf"start one with `millstream up --home '{tmp_path}/a home'`"):
        Client.from_home(other.path)


def test_a_shell_and_this_package_read_the_same_from_the_env_file(home: Home) -> None:
    write_env(home, {"MILLSTREAM_TOKEN": "ms-a b$c's", "KUBECONFIG": str(home.kubeconfig)})
    script = f'. "{home.env}"; printf "%s|%s" "$MILLSTREAM_TOKEN" "$KUBECONFIG"'
    told = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True, env={}).stdout
    assert told == f"ms-a b$c's|{home.kubeconfig}"
    assert home.read_env() == {"MILLSTREAM_TOKEN": "ms-a b$c's", "KUBECONFIG": str(home.kubeconfig)}
    assert home.env.stat().st_mode & 0o777 == 0o600


def test_before_the_first_start_there_are_default_ports_and_no_variables(tmp_path: Path) -> None:
    home = Home(tmp_path)
    assert home.ports() == Ports() and home.read_env() == {}


def test_a_service_without_the_bus_gets_no_user_and_a_missing_password_is_an_error() -> None:
    users = json.loads(brokerconf.broker_config([TRAINER, GATEWAY], PASSWORDS))["authorization"]["users"]
    assert [user["user"] for user in users] == ["trainer", brokerconf.PERSON]
    with pytest.raises(KeyError):
        brokerconf.broker_config([TRAINER], {brokerconf.PERSON: "x"})


def test_every_acknowledged_event_is_on_the_brokers_disk() -> None:
    assert json.loads(brokerconf.broker_config([], PASSWORDS))["jetstream"]["sync_interval"] == "always"


@contextmanager
def _broker(folder: Path) -> Iterator[str]:
    """A real broker under the configuration; answers its host and port."""
    port = free_port()
    (folder / "nats.conf").write_text(brokerconf.broker_config([TRAINER, GATEWAY], PASSWORDS))
    command = [str(BIN / "nats-server"), "-c", str(folder / "nats.conf"), "-a", "127.0.0.1", "-p", str(port)]
    log = (folder / "log").open("w")
    server = subprocess.Popen([*command, "-sd", str(folder / "store")], stdout=log, stderr=log)
    try:
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except ConnectionRefusedError:
                assert server.poll() is None, (folder / "log").read_text()
        yield f"127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(10)
        log.close()


async def _refusals(url: str, *subjects: str, listen: bool = False) -> list[str]:
    """The subjects that the broker refuses to this user; one that everybody is refused is asked last and ends it."""
    told: list[str] = []
    over = asyncio.Event()

    async def note(error: Exception) -> None:
        told.append(str(error))
        if LAST in str(error):
            over.set()

    connection = await nats.connect(url, error_cb=note, allow_reconnect=False)
    try:
        for subject in subjects:
            await (connection.subscribe(subject) if listen else connection.publish(subject, b"x"))
        await connection.publish(LAST, b"x")
        await asyncio.wait_for(over.wait(), 30)
    finally:
        await connection.close()
    return [subject for subject in subjects if any(f'"{subject}"' in line for line in told)]


async def test_a_service_says_its_own_events_alone_and_hears_nothing_past_its_consumer(tmp_path: Path) -> None:
    own, foreign = "millstream.training.trainjob.created.v1.team", "millstream.training.trainjob.apply.v1.team"
    with _broker(tmp_path) as address:
        trainer = f"nats://trainer:t-secret@{address}"
        assert await _refusals(trainer, own, foreign, "millstream.registry.modelversion.created.v1.team") == [
            foreign,
            "millstream.registry.modelversion.created.v1.team",
        ]
        assert await _refusals(trainer, "millstream.>", "dead.>", listen=True) == ["millstream.>", "dead.>"]


async def test_the_owner_says_commands_and_hears_all_and_a_stranger_gets_in_nowhere(tmp_path: Path) -> None:
    with _broker(tmp_path) as address:
        owner = f"nats://{brokerconf.PERSON}:p-secret@{address}"
        connection = await nats.connect(owner, error_cb=_quiet, allow_reconnect=False)
        heard = await connection.subscribe("millstream.>")
        await connection.publish("millstream.training.trainjob.apply.v1.team", b"please")
        assert (await heard.next_msg(timeout=10)).data == b"please"
        await connection.close()
        for stranger in (f"nats://{address}", f"nats://trainer:wrong@{address}", f"nats://gateway:x@{address}"):
            with pytest.raises((nats.errors.Error, OSError)):
                await nats.connect(stranger, allow_reconnect=False, connect_timeout=2, error_cb=_quiet)


async def _quiet(error: Exception) -> None:
    """Refused, as it should be."""


def _edge(home: Home) -> dict[str, Any]:
    config: dict[str, Any] = json.loads(
        edgeconf.edge_config(home, (home.tls / "server.crt").read_text(), (home.tls / "server.key").read_text())
    )
    return config


def test_the_edge_listens_on_loopback_alone_and_its_admin_door_is_a_private_socket(home: Home) -> None:
    config = _edge(home)
    listens = [address for server in config["apps"]["http"]["servers"].values() for address in server["listen"]]
    assert sorted(listens) == ["127.0.0.1:18080", "127.0.0.1:18443"]
    assert config["admin"]["listen"] == f"unix/{home.run / 'caddy.sock'}|0600"


def test_caddy_takes_the_edges_configuration(home: Home) -> None:
    (home.path / "caddy.json").write_text(json.dumps(_edge(home)))
    command = [str(BIN / "caddy"), "validate", "--config", str(home.path / "caddy.json")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={"HOME": str(home.path)})
    assert done.returncode == 0, done.stderr
