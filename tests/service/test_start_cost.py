"""What a service without a cluster pays for the aggregated API: nothing, not even an import."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
OF_CLUSTERS = ("libs.service.tls", "libs.service.delegation", "libs.service.trust", "libs.service.rights")
PROGRAM = """
import asyncio, sys
sys.path.insert(0, ".")
from {module} import {build}
{run}
print(*sorted(name for name in sys.modules if name in {names}))
"""
TOY = """
from libs.service.shell import serve
from tests.service.toy import settings, toy_app
from pathlib import Path
async def life():
    async with serve(toy_app(), settings(Path(sys.argv[1]))):
        pass
asyncio.run(life())
"""
GATEWAY = """
from libs.service.identity import make_keys
from services.gateway.domain.options import Options
async def life():
    async with open_gateway(Options(service="gateway", identity_private_key=make_keys()[0])):
        pass
asyncio.run(life())
"""


@pytest.mark.parametrize(
    ("module", "build", "run"),
    [("tests.service.toy", "toy_app", TOY), ("services.gateway.app", "open_gateway", GATEWAY)],
    ids=["a service with kinds", "the gateway"],
)
def test_without_a_tls_port_nothing_of_the_listener_is_loaded(
    tmp_path: Path, module: str, build: str, run: str
) -> None:
    assert all(importlib.util.find_spec(name) for name in OF_CLUSTERS)
    program = PROGRAM.format(module=module, build=build, run=run, names=OF_CLUSTERS)
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], cwd=ROOT, env={"PATH": os.environ["PATH"]}, text=True,
        capture_output=True, check=True, timeout=60,
    )  # fmt: skip
    assert done.stdout.strip() == "", done.stdout
