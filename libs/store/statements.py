"""The SQL of the hot paths, one text for both databases; `?1`, SQLite's placeholder, becomes PostgreSQL's `$1`."""

COLUMNS = "seq, at, op, resource, namespace, name, body, prev, subject, letter, said_at"

LAST_SEQ = "SELECT COALESCE(MAX(seq), 0) FROM changes"
TRIMMED = "SELECT CAST(value AS BIGINT) FROM meta WHERE key = 'trimmed'"

GET_OBJECT = "SELECT body FROM objects WHERE resource = ?1 AND namespace = ?2 AND name = ?3"
INSERT_OBJECT = (
    "INSERT INTO objects (resource, namespace, name, uid, rv, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6)"
    " ON CONFLICT DO NOTHING RETURNING rv"
)
UPDATE_OBJECT = "UPDATE objects SET uid = ?4, rv = ?5, body = ?6 WHERE resource = ?1 AND namespace = ?2 AND name = ?3"
DELETE_OBJECT = "DELETE FROM objects WHERE resource = ?1 AND namespace = ?2 AND name = ?3"

LIST_ALL = (
    "SELECT body FROM objects WHERE resource = ?1 AND (namespace, name) > (?2, ?3) ORDER BY namespace, name LIMIT ?4"
)
LIST_NAMESPACE = "SELECT body FROM objects WHERE resource = ?1 AND namespace = ?2 AND name > ?3 ORDER BY name LIMIT ?4"

INSERT_CHANGE = f"INSERT INTO changes ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)"
CHANGES_SINCE = f"SELECT {COLUMNS} FROM changes WHERE seq > ?1 ORDER BY seq LIMIT ?2"
CHANGES_SINCE_OF = f"SELECT {COLUMNS} FROM changes WHERE seq > ?1 AND resource = ?3 ORDER BY seq LIMIT ?2"

UNSAID = f"SELECT {COLUMNS} FROM changes WHERE letter IS NOT NULL AND said_at IS NULL ORDER BY seq LIMIT ?1"
UNSAID_COUNT = "SELECT COUNT(*) FROM changes WHERE letter IS NOT NULL AND said_at IS NULL"
UNSAID_SINCE = "SELECT at FROM changes WHERE letter IS NOT NULL AND said_at IS NULL ORDER BY seq LIMIT 1"
MARK_SAID = "UPDATE changes SET said_at = ?2 WHERE seq = ?1 AND letter IS NOT NULL AND said_at IS NULL"
FORGET_SAID = (
    "UPDATE changes SET said_at = NULL WHERE letter IS NOT NULL AND said_at IS NOT NULL AND seq > ?1 AND at >= ?2"
    " RETURNING seq"
)

FIRST_TIME = "INSERT INTO inbox (consumer, event_id, at) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING RETURNING at"

GET_META = "SELECT value FROM meta WHERE key = ?1"
SET_META = "INSERT INTO meta (key, value) VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = excluded.value"

GET_LEASE = "SELECT holder, expires_at, generation FROM leases WHERE name = ?1"
SET_LEASE = (
    "INSERT INTO leases (name, holder, expires_at, generation) VALUES (?1, ?2, ?3, ?4) ON CONFLICT (name)"
    " DO UPDATE SET holder = excluded.holder, expires_at = excluded.expires_at, generation = excluded.generation"
)

SAVE = "SAVEPOINT part"
RELEASE = "RELEASE SAVEPOINT part"
TAKE_BACK = "ROLLBACK TO SAVEPOINT part"

TRIM_CUT = "SELECT COALESCE(MAX(seq), 0) FROM changes WHERE at < ?1"
TRIM_SIZE = (
    "SELECT COALESCE(MAX(seq), 0) FROM (SELECT seq, SUM(COALESCE(LENGTH(body), 0) + COALESCE(LENGTH(prev), 0))"
    " OVER (ORDER BY seq DESC) AS total FROM changes WHERE letter IS NULL) AS sums WHERE total > ?1"
)
TRIM_CHANGES = (
    "DELETE FROM changes WHERE seq IN (SELECT seq FROM changes WHERE seq <= ?1"
    " AND (letter IS NULL OR said_at IS NOT NULL) ORDER BY seq LIMIT ?2) RETURNING seq"
)
TRIM_SILENT = (
    "DELETE FROM changes WHERE seq IN (SELECT seq FROM changes WHERE seq <= ?1 AND letter IS NULL"
    " ORDER BY seq LIMIT ?2) RETURNING seq"
)
TRIM_INBOX = (
    "DELETE FROM inbox WHERE (consumer, event_id) IN (SELECT consumer, event_id FROM inbox WHERE at < ?1 LIMIT ?2)"
    " RETURNING at"
)

_brief = {
    LAST_SEQ, TRIMMED, GET_OBJECT, INSERT_OBJECT, UPDATE_OBJECT, DELETE_OBJECT, INSERT_CHANGE, FIRST_TIME, GET_META,
    SET_META, GET_LEASE, SET_LEASE, MARK_SAID, SAVE, RELEASE, TAKE_BACK,
}  # fmt: skip


def brief(statement: str) -> str:
    """Declares a statement that finds its row by a key: it takes microseconds however many rows there are."""
    _brief.add(statement)
    return statement


def is_brief(statement: str) -> bool:
    return statement in _brief
