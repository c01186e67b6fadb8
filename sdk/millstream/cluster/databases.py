"""A database and its users for each service, in the cluster's own PostgreSQL; it touches no table and drops nothing.

Everything in a database belongs to its owner role, which nobody logs in as. A service's users are members that become
the owner when they connect: so one user can follow another without anything changing hands.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import asyncpg

from libs.base.clock import Clock
from millstream.brokerconf import Login
from millstream.errors import ClientError

LOCK = 0x4D494C4D  # one bootstrap at a time; libs.store's lock is another number
PAUSE_S = 1.0
CONNECT_S = 10.0
Say = Callable[[str], None]


class Server:
    """Where the administrator reaches PostgreSQL: a host name or the folder of a socket, and a port."""

    def __init__(self, at: str, administrator: Login) -> None:
        self._host, _, port = at.partition(":")
        self._port = int(port or 5432)
        self._administrator = administrator

    async def connect(self, login: Login | None = None, database: str = "postgres") -> asyncpg.Connection:
        """As the administrator, or whoever `login` names. Raises OSError or asyncpg.PostgresError."""
        user, password = login or self._administrator
        return await asyncpg.connect(
            host=self._host,
            port=self._port,
            user=user,
            password=password,
            database=database,
            timeout=CONNECT_S,
            server_settings={"application_name": "millstream-bootstrap"},
        )


async def ensure(
    server: Server, logins: Mapping[str, Sequence[Login]], say: Say, *, clock: Clock, wait_s: float
) -> None:
    """Database and users of every service (its logins by name); a former login of theirs may no longer connect."""
    admin = await _reached(server, say, clock, wait_s)
    try:
        await admin.execute("SELECT pg_advisory_lock($1)", LOCK)
        for service, known in logins.items():
            await _database(admin, service, say)
            await _users(admin, server, service, known, say)
    finally:
        await admin.close()


async def _reached(server: Server, say: Say, clock: Clock, wait_s: float) -> asyncpg.Connection:
    end, told = clock.monotonic() + wait_s, False
    while True:
        try:
            return await server.connect()
        except asyncpg.InvalidAuthorizationSpecificationError:
            raise ClientError(
                "PostgreSQL refuses its administrator: its volume was begun with another password than the one in the"
                " Secret postgres-credentials"
            ) from None
        except (OSError, asyncpg.PostgresError) as error:
            if clock.monotonic() >= end:
                raise ClientError(f"PostgreSQL was not reached within {wait_s:.0f} s: {error}") from error
        if not told:
            say("waiting  for PostgreSQL")
            told = True
        await clock.sleep(PAUSE_S)


async def _database(admin: asyncpg.Connection, service: str, say: Say) -> None:
    owner = owner_of(service)
    if not await admin.fetchval("SELECT 1 FROM pg_roles WHERE rolname = $1", owner):
        await admin.execute(f"CREATE ROLE {_name(owner)} NOLOGIN")
    if await admin.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", service):
        say(f"kept     database {service}")
    else:
        await admin.execute(f"CREATE DATABASE {_name(service)} OWNER {_name(owner)} TEMPLATE template0 ENCODING 'UTF8'")
        say(f"made     database {service}")
    await admin.execute(f"REVOKE ALL ON DATABASE {_name(service)} FROM PUBLIC")


async def _users(admin: asyncpg.Connection, server: Server, service: str, logins: Sequence[Login], say: Say) -> None:
    for login in logins:
        if await _is_let_in(server, login, service):
            say(f"kept     database user {login[0]}")
        else:
            await _let_in(admin, service, login)
            say(f"made     database user {login[0]}")
    known = [user for user, _ in logins]
    members = "SELECT rolname FROM pg_roles WHERE rolcanlogin AND pg_has_role(oid, $1, 'MEMBER') AND NOT rolsuper"
    for (user,) in await admin.fetch(members, owner_of(service)):
        if user not in known:
            await admin.execute(f"ALTER ROLE {_name(user)} NOLOGIN PASSWORD NULL")
            say(f"closed   database user {user}")


async def _is_let_in(server: Server, login: Login, database: str) -> bool:
    """Whether it can connect and is the owner then."""
    try:
        connection = await server.connect(login, database)
    except asyncpg.InvalidAuthorizationSpecificationError:  # a wrong password is one of these
        return False
    except asyncpg.InsufficientPrivilegeError:
        return False
    try:
        return bool(await connection.fetchval("SELECT current_user") == owner_of(database))
    finally:
        await connection.close()


async def _let_in(admin: asyncpg.Connection, service: str, login: Login) -> None:
    user, password = login
    verb = "ALTER" if await admin.fetchval("SELECT 1 FROM pg_roles WHERE rolname = $1", user) else "CREATE"
    async with admin.transaction():
        await admin.execute(f"{verb} ROLE {_name(user)} LOGIN PASSWORD {_text(password)}")
        await admin.execute(f"GRANT {_name(owner_of(service))} TO {_name(user)}")
        await admin.execute(f"ALTER ROLE {_name(user)} SET role TO {_text(owner_of(service))}")


def owner_of(service: str) -> str:
    """The role that a service's database belongs to."""
    return f"{service}_owner"


def _name(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def _text(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
