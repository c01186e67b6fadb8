"""The edge before anybody has told it where requests go: an honest 503, which every client tries again."""

from __future__ import annotations

import datetime as dt
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from millstream import keys
from millstream.edgeconf import edge_config
from millstream.home import Home, Ports

from tests.platform import MILLSTREAM, free_ports, until


@pytest.fixture
def edge(tmp_path: Path) -> Iterator[Home]:
    """Caddy with a home's first configuration, and no node that would program it."""
    home = Home(tmp_path / "home")
    home.make()
    home.keep_ports(Ports(*free_ports(2)))
    _, certificate, key = keys.certificates(home, dt.datetime.now(dt.UTC))
    config = home.run / "caddy.json"
    config.write_text(edge_config(home, certificate.read_text(), key.read_text()))
    caddy = subprocess.Popen([MILLSTREAM.parent / "caddy", "run", "--config", config], stderr=subprocess.DEVNULL)
    yield home
    caddy.kill()
    caddy.wait()


def test_a_door_without_routes_says_try_again_and_not_an_empty_yes(edge: Home) -> None:
    found: list[httpx.Response] = []

    def answered() -> bool:
        try:
            found.append(httpx.get(f"{edge.http_url}/apis", trust_env=False))
        except httpx.TransportError:
            return False
        return True

    until(answered, 30, "Caddy")
    [answer] = found
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    status = answer.json()
    assert (status["kind"], status["code"]) == ("Status", 503)
    assert "no routes yet" in status["message"]
