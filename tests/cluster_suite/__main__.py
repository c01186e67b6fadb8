"""`make test-cluster`: the platform installed in a cluster, used, killed, replaced, removed; explains what it finds.

Exit code 0 when nothing failed, 1 when something did, 2 when the environment lacks something.
"""

from __future__ import annotations

import os
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from contextlib import ExitStack

from tests.cluster_suite.api import api
from tests.cluster_suite.clients import clients
from tests.cluster_suite.install import build_images, install, own_namespace, preflight
from tests.cluster_suite.killing import kill
from tests.cluster_suite.kubectl import Kubectl
from tests.cluster_suite.mainjob import main_job
from tests.cluster_suite.options import BadOptions, Options, options_of
from tests.cluster_suite.reach import reached
from tests.cluster_suite.report import Report
from tests.cluster_suite.rolling import rolling
from tests.cluster_suite.uninstall import uninstall
from tests.cluster_suite.world import Skipped, World

Step = Callable[[World], str]
WORK: dict[str, Step] = {
    "preflight": preflight,
    "images": build_images,
    "install": install,
    "api": api,
    "main-job": main_job,
    "kill": kill,
    "clients": clients,
    "rolling": rolling,
    "uninstall": uninstall,
}
FOUNDATION = ("preflight", "images", "install")
"""Without these nothing after them means anything."""


def main(environ: Mapping[str, str]) -> int:
    """Runs the steps that were asked for, and always ends with the report."""
    try:
        options = options_of(environ)
    except BadOptions as error:
        print(f"cannot start: {error}", file=sys.stderr)
        return 2
    report = Report()
    world = World(options, Kubectl(options.kubectl, options.kubeconfig), report, tell)
    with ExitStack() as stack:
        _steps(world, options, stack)
    print(report.text())
    report.write(options.report)
    print(f"written to {options.report}")
    return 1 if report.failed else 0


def _steps(world: World, options: Options, stack: ExitStack) -> None:
    for name in options.steps:
        broken = next(
            (row.step for row in world.report.rows if row.outcome == "failed" and row.step in FOUNDATION), None
        )
        if broken and (name != "uninstall" or not world.applied):
            world.report.add(name, "skipped", words=f"{broken} failed")
            continue
        if world.ways is None and name not in (*FOUNDATION, "uninstall") and not _reach(world, stack):
            world.report.add(name, "skipped", words="the platform is not reached")
            continue
        _step(world, name)


def _reach(world: World, stack: ExitStack) -> bool:
    try:
        world.ways = stack.enter_context(reached(world.kubectl, world.options))
        own_namespace(world)
    except Exception as error:
        if not any(row.step == "reach" for row in world.report.rows):
            world.report.add("reach", "failed", words=str(error))
        return False
    return True


def _step(world: World, name: str) -> None:
    print(f"\n== {name}", flush=True)
    began = time.monotonic()
    try:
        words = WORK[name](world)
    except Skipped as why:
        world.report.add(name, "skipped", time.monotonic() - began, str(why))
        tell(f"skipped: {why}")
    except Exception as error:  # whatever goes wrong is a finding, and the next step may find more
        expected = type(error).__module__.startswith(("tests.cluster_suite", "millstream"))
        words = str(error) if expected else "".join(traceback.format_exception(error))[-2000:]
        world.report.add(name, "failed", time.monotonic() - began, words)
        tell(f"FAILED: {words}")
    else:
        world.report.add(name, "passed", time.monotonic() - began, words)
        tell(words)


def tell(line: str) -> None:
    """Progress, as it happens."""
    print("   " + line.replace("\n", "\n   "), flush=True)


if __name__ == "__main__":
    sys.exit(main(os.environ))
