"""What every step is given: the options, kubectl, the report, and once the platform runs, the way to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from millstream.client import Client

from tests.cluster_suite.kubectl import Kubectl, Object
from tests.cluster_suite.options import Options
from tests.cluster_suite.preflight import Facts
from tests.cluster_suite.reach import Ways
from tests.cluster_suite.report import Report
from tests.e2e.load import Door


class Skipped(Exception):
    """A step, or a part of one, that cannot be done on this cluster; the message says why."""


@dataclass
class World:
    """One run of the suite."""

    options: Options
    kubectl: Kubectl
    report: Report
    tell: Callable[[str], None]
    facts: Facts | None = None
    ways: Ways | None = None
    applied: list[Object] = field(default_factory=list)

    @property
    def door(self) -> Door:
        assert self.ways is not None, "the platform is reached before a step uses it"
        return Door(self.ways.reach.url, self.ways.reach.token, self.options.namespace)

    @contextmanager
    def client(self) -> Iterator[Client]:
        """A client of the gateway."""
        door = self.door
        with Client(door.url, door.token) as client:
            yield client
