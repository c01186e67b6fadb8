"""kubectl as the suite calls it: one cluster, answers as text or objects, failures with kubectl's own words."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Object = dict[str, Any]


class KubectlError(Exception):
    """kubectl ended with an error; `said` is what it printed."""

    def __init__(self, command: str, said: str) -> None:
        super().__init__(f"kubectl {command}: {said.strip()[-2000:]}")
        self.said = said


@dataclass(frozen=True)
class Kubectl:
    """`program` against the cluster of `kubeconfig`."""

    program: Path
    kubeconfig: Path

    @property
    def env(self) -> dict[str, str]:
        kept = {key: value for key, value in os.environ.items() if key in ("PATH", "HOME", "TMPDIR")}
        return {**kept, "KUBECONFIG": str(self.kubeconfig)}

    def run(self, *arguments: str, stdin: str = "", timeout_s: float = 120) -> str:
        """What it prints; raises KubectlError."""
        command = [str(self.program), *arguments]
        try:
            done = subprocess.run(
                command, env=self.env, input=stdin, text=True, capture_output=True, timeout=timeout_s, check=False
            )
        except subprocess.TimeoutExpired as error:
            raise KubectlError(" ".join(arguments), f"no answer within {timeout_s:.0f} s") from error
        if done.returncode:
            raise KubectlError(" ".join(arguments), done.stderr or done.stdout)
        return done.stdout

    def tried(self, *arguments: str, stdin: str = "", timeout_s: float = 120) -> tuple[bool, str]:
        """Whether it worked, and what was printed."""
        try:
            return True, self.run(*arguments, stdin=stdin, timeout_s=timeout_s)
        except KubectlError as error:
            return False, error.said

    def object(self, *arguments: str) -> Object:
        """One object or list; raises KubectlError."""
        return dict(json.loads(self.run(*arguments, "-o", "json")))

    def items(self, *arguments: str) -> list[Object]:
        """`get <arguments>` as a list; empty when the cluster has no such kind or refuses."""
        worked, said = self.tried("get", *arguments, "-o", "json")
        return list(json.loads(said).get("items") or []) if worked else []

    def raw(self, path: str) -> Object | None:
        """An API document, or None when it is not served."""
        worked, said = self.tried("get", "--raw", path)
        if not worked:
            return None
        try:
            return dict(json.loads(said))
        except ValueError:
            return None

    def apply(self, documents: list[Object], *more: str) -> str:
        """Server-side, as the suite's own field manager."""
        flags = ("--server-side", "--force-conflicts", "--field-manager=millstream-suite")
        return self.run("apply", *flags, *more, "-f", "-", stdin=stream(documents), timeout_s=300)


def stream(documents: list[Object]) -> str:
    """Documents as kubectl reads them from its input; JSON is YAML."""
    return "\n---\n".join(json.dumps(document) for document in documents)
