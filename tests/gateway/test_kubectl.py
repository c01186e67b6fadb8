"""The real kubectl through the gateway, on kinds of two services that share one group and version."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.gateway.world import World, world

KUBECTL = Path(sys.executable).parent / "kubectl"


class Kubectl:
    def __init__(self, url: str, home: Path) -> None:
        self._server, self._home = url, home

    async def __call__(self, *args: str, stdin: str = "", code: int = 0) -> str:
        process = await asyncio.create_subprocess_exec(
            KUBECTL,
            "--server",
            self._server,
            "--cache-dir",
            str(self._home / "cache"),
            "-n",
            "team",
            *args,
            env={"HOME": str(self._home), "KUBECONFIG": str(self._home / "none")},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await asyncio.wait_for(process.communicate(stdin.encode()), 30)
        assert process.returncode == code, f"kubectl {args}: {out.decode()}{err.decode()}"
        return out.decode() + err.decode()


def manifest(kind: str, name: str, **spec: Any) -> str:
    meta = {"name": name, "namespace": "team"}
    return json.dumps({"apiVersion": "toys.example.org/v1", "kind": kind, "metadata": meta, "spec": spec})


@pytest.fixture
async def kubectl(tmp_path: Path) -> AsyncIterator[Kubectl]:
    async with world(tmp_path, node_url=None, discovery_ttl_s=1.0) as gate:
        kubectl = Kubectl(gate.url, tmp_path)
        kubectl.gate = gate  # type: ignore[attr-defined]
        yield kubectl


async def test_apply_get_wait_diff_and_delete_reach_the_owner_of_each_kind(kubectl: Kubectl) -> None:
    resources = await kubectl("api-resources", "--api-group", "toys.example.org")
    assert "boats" in resources and "trains" in resources
    for kind in ("Boat", "Train"):
        assert "created" in await kubectl("apply", "-f", "-", stdin=manifest(kind, "one", size=1))
        assert "unchanged" in await kubectl("apply", "-f", "-", stdin=manifest(kind, "one", size=1))
        assert "configured" in await kubectl("apply", "-f", "-", stdin=manifest(kind, "one", size=2))
    assert "serverside-applied" in await kubectl("apply", "--server-side", "-f", "-", stdin=manifest("Boat", "two"))
    assert "one" in await kubectl("get", "boats")
    assert "one" in await kubectl("get", "tr")
    await kubectl("wait", "--for=jsonpath={.spec.size}=2", "train/one", "--timeout=30s")
    assert "deleted" in await kubectl("delete", "boat", "one", "two")
    assert "NotFound" in await kubectl("get", "boat", "one", code=1)


@pytest.mark.parametrize("wrong", [{"kind": "Boot"}, {"apiVersion": "toys.example.org/v9"}, {"apiVersion": "toy/v1"}])
async def test_a_kind_that_nobody_serves_is_named_by_kubectl(kubectl: Kubectl, wrong: dict[str, str]) -> None:
    mistyped = json.dumps({**json.loads(manifest("Boat", "one")), **wrong})
    told = await kubectl("apply", "-f", "-", stdin=mistyped, code=1)
    assert "no matches for kind" in told and "openapi" not in told


async def test_explain_whoami_and_can_i(kubectl: Kubectl) -> None:
    assert "KIND:       Train" in await kubectl("explain", "train")
    assert "local-user" in await kubectl("auth", "whoami")
    assert "yes" in await kubectl("auth", "can-i", "create", "boats.toys.example.org")


async def test_a_watch_through_the_gateway_sees_a_change(kubectl: Kubectl) -> None:
    gate: World = kubectl.gate  # type: ignore[attr-defined]
    watching = await asyncio.create_subprocess_exec(
        KUBECTL, "--server", gate.url, "-n", "team", "get", "boats", "-w", "-o", "name", stdout=asyncio.subprocess.PIPE
    )
    assert watching.stdout is not None
    try:
        await kubectl("create", "-f", "-", stdin=manifest("Boat", "ark"))
        assert await asyncio.wait_for(watching.stdout.readline(), 30) == b"boat.toys.example.org/ark\n"
    finally:
        watching.kill()
        await watching.wait()
