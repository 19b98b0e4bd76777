"""What administrators did: who, what, with what outcome. Entries are added, never changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Engine, insert, select
from sqlalchemy.engine import URL

from engine import clock
from engine.storage import connection as database
from engine.storage.tables import audit

_LONGEST = 500


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One action of an administrator.

    Attributes:
        occurred_at: microseconds since the epoch, UTC.
        who: `key:` and the id of an API key, `user:` and a name on the machine, or `anyone`.
        target: a model version, a key's scope and id, or the pseudonym of a customer; None where
            all is meant.
        outcome: `done`, or `failed:` and the code of the error.
    """

    occurred_at: int
    who: str
    action: str
    target: str | None
    outcome: str

    def to_json(self) -> dict[str, object]:
        return {
            "occurred_at": clock.to_iso(self.occurred_at),
            "who": self.who,
            "action": self.action,
            "target": self.target,
            "outcome": self.outcome,
        }


class AuditLog:
    """The log of one database; raises StorageUnavailable as the store."""

    def __init__(self, engine: Engine, url: URL) -> None:
        self._engine, self._url = engine, url

    def add(self, entry: AuditEntry) -> None:
        """On disk when this returns."""
        with database.speaking(self._url), database.writing(self._engine) as connection:
            connection.execute(insert(audit), _row(entry))

    def add_late(self, entries: Sequence[AuditEntry]) -> None:
        """Those that are not there yet: what waited elsewhere may be brought twice."""
        with database.speaking(self._url), database.writing(self._engine) as connection:
            for row in map(_row, entries):
                same = (audit.c[name].is_not_distinct_from(value) for name, value in row.items())
                if connection.execute(select(audit.c.id).where(*same).limit(1)).first() is None:
                    connection.execute(insert(audit), row)

    def latest(self, most: int) -> list[AuditEntry]:
        """The last entries, the newest first."""
        columns = (audit.c[name] for name in ("occurred_at", "who", "action", "target", "outcome"))
        query = select(*columns).order_by(audit.c.id.desc()).limit(most)
        with database.speaking(self._url), self._engine.connect() as connection:
            return [AuditEntry(*row) for row in connection.execute(query)]


def _row(entry: AuditEntry) -> dict[str, object]:
    return {
        "occurred_at": entry.occurred_at,
        "who": _shortened(entry.who),
        "action": entry.action,
        "target": None if entry.target is None else _shortened(entry.target),
        "outcome": _shortened(entry.outcome),
    }


def _shortened(text: str) -> str:
    # Whatever strangers put into a path: one printable line.
    return "".join(sign if sign.isprintable() else "?" for sign in text[:_LONGEST])
