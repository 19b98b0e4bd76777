"""Actions of administrators: who, what, with what outcome. Entries are added, never changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, insert, select

from mersalg.engine import clock
from mersalg.engine.storage.connection import Database
from mersalg.engine.storage.tables import audit

_LONGEST = 500


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One action of an administrator."""

    occurred_at: int
    """Microseconds since the epoch, UTC."""
    who: str
    """`key:` and the id of an API key, `user:` and a name on the machine, `address:` and where
    unknown keys came from, `guardrail` for a pause without a person, or `anyone`."""
    action: str
    """A verb and its object, as `erase customer`."""
    target: str | None
    """A model version, a key's scope and id, or the pseudonym of a customer; None where the action
    concerns everything."""
    outcome: str
    """`done`, or `failed:` and the code of the error."""

    def to_json(self) -> dict[str, object]:
        """Return the entry as the API and `mersalg audit --json` show it."""
        return {
            "occurred_at": clock.to_iso(self.occurred_at),
            "who": self.who,
            "action": self.action,
            "target": self.target,
            "outcome": self.outcome,
        }


class AuditLog:
    """The log of one database; raises StorageUnavailable as `Facts`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, entry: AuditEntry) -> None:
        """Add an entry; it is on disk when this returns."""
        with self._database.writing() as connection:
            add_entry(connection, entry)

    def add_late(self, entries: Sequence[AuditEntry]) -> None:
        """Add those entries that are not in the log: the spool may deliver one twice."""
        with self._database.writing() as connection:
            for row in map(_row, entries):
                same = (audit.c[name].is_not_distinct_from(value) for name, value in row.items())
                if connection.execute(select(audit.c.id).where(*same).limit(1)).first() is None:
                    connection.execute(insert(audit), row)

    def latest(self, limit: int, actions: Sequence[str] = ()) -> list[AuditEntry]:
        """Return the last entries, the newest first: all, or those of some actions."""
        columns = (audit.c[name] for name in ("occurred_at", "who", "action", "target", "outcome"))
        query = select(*columns).order_by(audit.c.id.desc()).limit(limit)
        if actions:
            query = query.where(audit.c.action.in_(actions))
        with self._database.reading() as connection:
            return [AuditEntry(*row) for row in connection.execute(query)]


def add_entry(connection: Connection, entry: AuditEntry) -> None:
    """Add an entry in the transaction of a connection."""
    connection.execute(insert(audit), _row(entry))


def _row(entry: AuditEntry) -> dict[str, object]:
    return {
        "occurred_at": entry.occurred_at,
        "who": _shortened(entry.who),
        "action": entry.action,
        "target": None if entry.target is None else _shortened(entry.target),
        "outcome": _shortened(entry.outcome),
    }


def _shortened(text: str) -> str:
    # A path of a request may hold any characters; the log keeps one printable line.
    return "".join(sign if sign.isprintable() else "?" for sign in text[:_LONGEST])
