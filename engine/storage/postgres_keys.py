"""Keys that the tables of a PostgreSQL database get when they are full.

A key under which ids come in no order wants a page of its own for each row, and costs a tenth where
it is sorted once, when all rows are there. A reference asks for each row whether what it names is
there.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, text

_IDS = "fact_ids"


@dataclass(frozen=True, slots=True)
class Key:
    """A constraint by name, of a table, as SQL tells it."""

    name: str
    table: str
    rule: str

    def create(self, bind: Connection, checkfirst: bool = False) -> None:
        if checkfirst and self.name in _present(bind):
            return
        # In the order in which a loader writes, so that neither waits for the other for ever.
        bind.exec_driver_sql(f"LOCK TABLE {_IDS} IN SHARE ROW EXCLUSIVE MODE")
        bind.exec_driver_sql(f"ALTER TABLE {self.table} ADD CONSTRAINT {self.name} {self.rule}")

    def drop(self, bind: Connection) -> None:
        bind.exec_driver_sql(f"ALTER TABLE {self.table} DROP CONSTRAINT IF EXISTS {self.name}")


def _reference(table: str) -> Key:
    # Not looked up for the rows that are there: each came in one transaction with what it names.
    rule = f"FOREIGN KEY (event_id) REFERENCES {_IDS} (event_id) NOT VALID"
    return Key(f"{table}_event_id_fkey", table, rule)


_NAMING = ("decisions", "offers", "named_offers")
_KEYS = (
    Key("fact_ids_pkey", _IDS, "PRIMARY KEY (event_id)"),
    Key("facts_pkey", "facts", "PRIMARY KEY (event_id, occurred_at)"),
    Key("decisions_pkey", "decisions", "PRIMARY KEY (decision_id)"),
    Key("decisions_event_id_key", "decisions", "UNIQUE (event_id)"),
    Key("offers_pkey", "offers", "PRIMARY KEY (offer_id)"),
    Key("named_offers_pkey", "named_offers", "PRIMARY KEY (offer_id, event_id)"),
    *map(_reference, _NAMING),
)
"""References after what they refer to."""

_NAMES = text(
    "SELECT conname FROM pg_constraint WHERE conrelid IN"
    " (SELECT to_regclass(each) FROM unnest(CAST(:tables AS text[])) AS each)"
).bindparams(tables=sorted({key.table for key in _KEYS}))


def leave_out(connection: Connection) -> None:
    """Drop them from tables that hold nothing."""
    for key in reversed(_KEYS):
        key.drop(connection)


def missing(connection: Connection) -> list[Key]:
    """Keys that were left out and not built yet."""
    present = _present(connection)
    return [key for key in _KEYS if key.name not in present]


def _present(connection: Connection) -> frozenset[str]:
    return frozenset(connection.scalars(_NAMES))
