"""The home folder of one laptop platform: where everything it keeps lies. Two homes never share a file."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SYSTEM_NAMESPACE = "millstream-system"


def default_home() -> Path:
    """`$MILLSTREAM_HOME`, else `.millstream` in the user's home."""
    return Path(os.environ.get("MILLSTREAM_HOME") or Path.home() / ".millstream").absolute()


@dataclass(frozen=True)
class Ports:
    """The two public ports of a home, both on 127.0.0.1."""

    http: int = 8080
    https: int = 8443


@dataclass(frozen=True)
class Home:
    """Paths inside one home folder; nothing here touches the disk until asked."""

    path: Path

    @property
    def run(self) -> Path:
        return self.path / "run"

    @property
    def logs(self) -> Path:
        return self.path / "logs"

    @property
    def tls(self) -> Path:
        return self.path / "tls"

    @property
    def keys(self) -> Path:
        return self.path / "node" / "keys"

    @property
    def manifests(self) -> Path:
        return self.path / "manifests"

    @property
    def kubeconfig(self) -> Path:
        return self.path / "kubeconfig"

    @property
    def env(self) -> Path:
        return self.path / "env"

    @property
    def token(self) -> Path:
        return self.path / "token"

    @property
    def settings(self) -> Path:
        return self.path / "settings.json"

    def make(self) -> None:
        """Create the folders, readable by their owner alone."""
        for folder in (self.path, self.run, self.logs, self.tls, self.keys.parent, self.keys, self.manifests):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.path.chmod(0o700)

    def ports(self) -> Ports:
        """The ports this home was last started with (the defaults before the first start)."""
        kept = self._kept()
        return Ports(http=kept["http"], https=kept["https"]) if "http" in kept else Ports()

    def keep_ports(self, ports: Ports) -> None:
        self._keep(http=ports.http, https=ports.https)

    def tracking(self) -> dict[str, str]:
        """Whom this home's pipelines tell of their runs: variables of those systems' clients, by name."""
        return dict(self._kept().get("tracking") or {})

    def keep_tracking(self, told: Mapping[str, str]) -> None:
        self._keep(tracking=dict(told))

    def code(self) -> int:
        """The newest time, in nanoseconds, of the code that the platform was started from; 0 if nobody said."""
        return int(self._kept().get("code") or 0)

    def keep_code(self, newest_ns: int) -> None:
        self._keep(code=newest_ns)

    def _kept(self) -> dict[str, Any]:
        return dict(json.loads(self.settings.read_text())) if self.settings.exists() else {}

    def _keep(self, **settings: Any) -> None:
        write_private(self.settings, json.dumps({**self._kept(), **settings}))

    def command(self, words: str) -> str:
        """`millstream <words>` as it has to be typed to reach this home."""
        return f"millstream {words}" + ("" if self.path == default_home() else f" --home {shlex.quote(str(self.path))}")

    @property
    def http_url(self) -> str:
        return f"http://127.0.0.1:{self.ports().http}"

    @property
    def https_url(self) -> str:
        return f"https://127.0.0.1:{self.ports().https}"

    def read_env(self) -> dict[str, str]:
        """The variables of the `env` file, as a mapping; empty before the first start."""
        if not self.env.exists():
            return {}
        words = shlex.split(self.env.read_text(), comments=True)
        return dict(word.split("=", 1) for word in words if "=" in word)


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, all of it or none (rename)."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    part = path.with_name(path.name + ".part")
    part.touch(mode=0o600)
    part.write_text(text)
    part.chmod(0o600)
    part.replace(path)
