"""What a revision does to tables that older code uses at the same time; found by running it on a real database."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.script import Script, ScriptDirectory

CONTRACT = re.compile(r"^phase\s*=\s*[\"']contract[\"']", re.MULTILINE)
Table = dict[str, Any]


def breaks(folders: Sequence[Path], url: str) -> Iterator[str]:
    """A sentence for each revision's change that breaks the code before it, unless the revision says `contract`.

    Runs the revisions of `folders` one after another on the empty database `url`.
    """
    config = Config()
    config.set_main_option("path_separator", "newline")
    config.set_main_option("script_location", str(folders[0]).replace("%", "%%"))
    config.set_main_option("version_locations", "\n".join(str(folder).replace("%", "%%") for folder in folders))
    scripts = ScriptDirectory.from_config(config)
    engine = sa.create_engine(url)
    before: dict[str, Table] = {}
    for script in reversed(list(scripts.walk_revisions("base", "heads"))):
        with engine.connect() as connection:
            _run(connection, config, scripts, script)
            connection.commit()
            after = _tables(connection)
        if not CONTRACT.search(Path(script.path).read_text()):
            yield from (f"{script.revision} {what}" for what in _differences(before, after))
        before = after
    engine.dispose()


def _run(connection: sa.Connection, config: Config, scripts: ScriptDirectory, script: Script) -> None:
    def steps(present: Any, _context: Any) -> Any:
        return scripts._upgrade_revs(script.revision, present)

    with EnvironmentContext(config, scripts, fn=steps) as environment:
        environment.configure(connection=connection)
        environment.run_migrations()


def _tables(connection: sa.Connection) -> dict[str, Table]:
    looked = sa.inspect(connection)
    return {
        name: {
            "columns": {column["name"]: column for column in looked.get_columns(name)},
            "unique": {
                tuple(sorted(found["column_names"]))
                for found in (
                    *looked.get_unique_constraints(name),
                    *(index for index in looked.get_indexes(name) if index["unique"]),
                )
            },
            "rules": {str(found.get("sqltext")) for found in looked.get_check_constraints(name)},
        }
        for name in looked.get_table_names()
        if name != "alembic_version"
    }


def _differences(before: dict[str, Table], after: dict[str, Table]) -> Iterator[str]:
    for name, old in before.items():
        if name not in after:
            yield f"drops or renames the table {name}"
            continue
        new = after[name]
        yield from _columns(name, old["columns"], new["columns"])
        for columns in new["unique"] - old["unique"]:
            yield f"makes {name}({', '.join(columns)}) unique"
        for rule in new["rules"] - old["rules"]:
            yield f"checks {name} for {rule}"


def _columns(table: str, old: dict[str, Any], new: dict[str, Any]) -> Iterator[str]:
    for name, column in old.items():
        if name not in new:
            yield f"drops or renames the column {table}.{name}"
        elif str(new[name]["type"]) != str(column["type"]):
            yield f"makes {table}.{name} {new[name]['type']} instead of {column['type']}"
        elif column["nullable"] and not new[name]["nullable"]:
            yield f"makes {table}.{name} NOT NULL"
    for name in new.keys() - old.keys():
        if not new[name]["nullable"] and new[name]["default"] is None:
            yield f"adds {table}.{name} as NOT NULL without a default"
