"""A home folder for a platform in a cluster, so that the `millstream` command works on it through port-forwards.

    python -m millstream.dev.clusterhome home FOLDER HTTP_PORT NATS_PORT     writes it, from a Secret
    python -m millstream.dev.clusterhome replay FOLDER                       says every dead letter again

It must not assume a cluster of its own: kubectl's current context is the developer's.
"""

from __future__ import annotations

import asyncio
import base64
import json
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from millstream.home import SYSTEM_NAMESPACE, Home, Ports
from millstream.kubeconfig import write_env

SECRET = "millstream-operator"


def write_home(folder: Path, http: int, nats: int, secret: dict[str, str]) -> Home:
    """Token, ports and environment. The broker's host becomes this machine, where its port is forwarded."""
    home = Home(folder.absolute())
    home.make()
    home.keep_ports(Ports(http=http, https=http))
    home.token.touch(mode=0o600)
    home.token.write_text(secret["MILLSTREAM_TOKEN"])
    url = {"MILLSTREAM_URL": home.http_url, "MILLSTREAM_TOKEN": secret["MILLSTREAM_TOKEN"]}
    write_env(home, url | {"NATS_URL": forwarded(secret["MILLSTREAM_NATS_URL"], nats)})
    return home


def forwarded(url: str, port: int) -> str:
    """The same user and password at 127.0.0.1; of several servers the first stands for all."""
    first = urlsplit(url.split(",", 1)[0])
    who = f"{first.netloc.rpartition('@')[0]}@" if "@" in first.netloc else ""
    return urlunsplit(first._replace(netloc=f"{who}127.0.0.1:{port}"))


def read_secret(kubectl: str = "kubectl") -> dict[str, str]:
    """What bootstrap keeps for operators; raises SystemExit with kubectl's words."""
    command = [kubectl, "get", "secret", SECRET, "-n", SYSTEM_NAMESPACE, "-o", "json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"cannot read the Secret {SYSTEM_NAMESPACE}/{SECRET}: {done.stderr.strip()}")
    data = json.loads(done.stdout).get("data") or {}
    return {key: base64.b64decode(value).decode() for key, value in data.items()}


async def replay(home: Home) -> int:
    """How many dead letters were said again; none is dead any more unless its hearer gives it up once more."""
    from millstream.messages import connect

    bus = await connect(home.read_env()["NATS_URL"])
    try:
        letters = await bus.dead_letters(1000)
        for letter in letters:
            await bus.replay(letter.seq)
        return len(letters)
    finally:
        await bus.close()


def main(words: list[str]) -> None:
    match words:
        case ["home", folder, http, nats]:
            home = write_home(Path(folder), int(http), int(nats), read_secret())
            print(f"millstream --home {home.path} speaks to the cluster")
        case ["replay", folder]:
            print(f"said again: {asyncio.run(replay(Home(Path(folder).absolute())))} dead letters")
        case _:
            raise SystemExit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
