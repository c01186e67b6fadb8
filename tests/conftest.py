"""What all tests share: a PostgreSQL; and the order in which workers get the files, the long ones first, so that none
waits at the end for another's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from libs.testing.store_postgres import Postgres, running_postgres

TESTS = Path(__file__).parent
LONG = (
    "sdk/test_backup.py",
    "sdk/test_scaffold.py",
    "store/test_processes.py",
    "service/test_rolling.py",
    "store/test_postgres.py",
    "bus/test_bus_crashes.py",
    "node/runtime/test_ordinary_account.py",
    "engines/test_broker_cluster.py",
    "engines/test_rotate.py",
    "engines/test_rotation_live.py",
    "e2e/test_recovery.py",
    "e2e/test_crash.py",
    "e2e/test_backup.py",
    "e2e/test_fuzz.py",
    "cluster_suite/test_on_the_node.py",
    "e2e/test_main_job.py",
    "clients/test_kubeflow_training.py",
    "clients/test_readme.py",
    "clients/test_components.py",
    "clients/test_kfp.py",
    "frameworks/test_two_nodes.py",
)
"""Longest first among those of one stage. A file that is missing here costs time and nothing else."""


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """One for all that a worker runs; a test empties its database, or asks for one of its own."""
    with running_postgres() as server:
        yield server


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: _place(item.path))


def _place(path: Path) -> int:
    name = path.relative_to(TESTS).as_posix() if path.is_relative_to(TESTS) else ""
    return LONG.index(name) if name in LONG else len(LONG)
