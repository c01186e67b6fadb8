"""The `millstream` command on a cluster through port-forwards: a home folder from the operator's Secret."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from millstream.client import Client
from millstream.dev.clusterhome import forwarded, main, replay, write_home
from millstream.home import Home
from millstream.kubeconfig import write_env

from libs.base import SystemClock, SystemIds
from libs.bus import Bus, Delivery, Poison
from libs.testing.bus_server import NatsServer

SUBJECT = "millstream.training.trainjob.created.v1.default"
SECRET = {
    "MILLSTREAM_TOKEN": "t0ken",
    "MILLSTREAM_NATS_URL": "nats://operator:p%40ss@nats.millstream-system.svc.cluster.local:4222",
}


@pytest.mark.parametrize(
    ("url", "here"),
    [
        ("nats://u:p@nats-0.nats:4222,nats://u:p@nats-1.nats:4222", "nats://u:p@127.0.0.1:9422"),
        ("tls://u:p%40@nats:4222", "tls://u:p%40@127.0.0.1:9422"),
        ("nats://nats:4222", "nats://127.0.0.1:9422"),
    ],
)
def test_the_brokers_url_leads_to_the_forwarded_port_with_its_user(url: str, here: str) -> None:
    assert forwarded(url, 9422) == here


def test_the_home_leads_the_client_and_the_command_to_the_forwarded_ports(tmp_path: Path) -> None:
    home = write_home(tmp_path / "tilt", 9080, 9422, SECRET)
    assert home.read_env()["NATS_URL"] == "nats://operator:p%40ss@127.0.0.1:9422"
    with Client.from_home(home.path) as client:
        assert str(client.http.base_url) == "http://127.0.0.1:9080"
        assert client.http.headers["Authorization"] == "Bearer t0ken"
    assert home.token.stat().st_mode & 0o077 == 0, "others can read the token"


async def test_every_dead_letter_is_said_again(tmp_path: Path) -> None:
    server = NatsServer(tmp_path / "nats")
    await server.start()
    clock = SystemClock()
    bus = await Bus.connect(server.url, service="hearer", clock=clock, ids=SystemIds(clock))
    heard: list[bytes] = []

    async def take(delivery: Delivery) -> None:
        heard.append(delivery.data)
        if len(heard) <= 2:
            raise Poison("not today")

    try:
        await bus.ensure("hearer", ["training.trainjob.created.v1"])
        await bus.subscribe(take)
        for number in range(2):
            body = json.dumps({"number": number}).encode()
            await bus.publish(SUBJECT, body, headers={}, msg_id=f"m{number}")
        while len(await bus.dead_letters(10)) < 2:
            await clock.sleep(0.05)
        home = Home(tmp_path / "home")
        home.make()
        write_env(home, {"NATS_URL": server.url})
        assert await replay(home) == 2
        while len(heard) < 4:
            await clock.sleep(0.05)
        assert sorted(heard[2:]) == sorted(heard[:2])
    finally:
        await bus.close()
        server.kill()


def test_words_that_mean_nothing_show_what_there_is() -> None:
    with pytest.raises(SystemExit, match="replay FOLDER"):
        main(["rewind"])
