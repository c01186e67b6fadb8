"""Where an image's build may install from: what this machine's pip and uv are told, handed on as build secrets.

It must not assume the public indexes: a mirror, a proxy, a certificate authority or folders of wheels may stand in for
them. Nothing of it is written into an image.
"""

from __future__ import annotations

import ast
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

_PIP = ("INDEX_URL", "EXTRA_INDEX_URL", "FIND_LINKS", "TRUSTED_HOST", "NO_INDEX")
_UV = ("DEFAULT_INDEX", "INDEX", "INDEX_URL", "EXTRA_INDEX_URL", "FIND_LINKS", "INDEX_STRATEGY", "INSECURE_HOST")
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")
NAMES = (
    *(f"PIP_{name}" for name in _PIP),
    *(f"UV_{name}" for name in _UV),
    *_PROXIES,
    *(name.lower() for name in _PROXIES),
)
_CERTIFICATES = ("PIP_CERT", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")
INSIDE = "/run/secrets/certificates"
"""Where the Dockerfile mounts the certificates of the authorities to trust."""


@dataclass(frozen=True)
class Sources:
    """`variables` for the build's shell, `certificates` to trust, `folders` of this machine that variables name."""

    variables: Mapping[str, str]
    certificates: Path | None
    folders: Sequence[Path]

    def script(self) -> str:
        """What the Dockerfile reads before it installs: `export` lines."""
        told = dict(self.variables)
        if self.certificates:
            told |= {"PIP_CERT": INSIDE, "SSL_CERT_FILE": INSIDE}
        return "".join(f"export {name}={shlex.quote(value)}\n" for name, value in sorted(told.items()))


def sources(environ: Mapping[str, str], configured: Mapping[str, str]) -> Sources:
    """From the environment, and from pip's configuration files for what the environment leaves open."""
    told = {name: environ[name] for name in NAMES if environ.get(name)}
    told = {name: configured[name] for name in NAMES if configured.get(name)} | told
    trusted = next((found for name in _CERTIFICATES if (found := environ.get(name) or configured.get(name))), None)
    folders = {folder for value in told.values() for folder in _folders(value)}
    return Sources(told, Path(trusted) if trusted else None, sorted(folders))


def pip_configuration() -> dict[str, str]:
    """pip's own configuration files as the variables that mean the same; empty where there is no pip."""
    command = [sys.executable, "-m", "pip", "config", "list"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found = {}
    for line in done.stdout.splitlines() if done.returncode == 0 else ():
        key, _, value = line.partition("=")
        section, _, option = key.partition(".")
        if section in {"global", "install"} and value:
            found["PIP_" + option.upper().replace("-", "_")] = " ".join(str(ast.literal_eval(value)).split())
    return found


def _folders(value: str) -> list[Path]:
    """Folders of this machine in a list of places. An index's pages lead to files beside it, hence its parent."""
    found = []
    for word in value.split():
        if word.startswith("file://"):
            found.append(Path(unquote(urlsplit(word).path)).parent)
        elif word.startswith("/"):
            found.append(Path(word))
    return [folder for folder in found if folder.is_dir() and folder != Path("/")]
