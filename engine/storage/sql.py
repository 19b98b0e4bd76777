"""The store of facts on SQLite and PostgreSQL, through one code."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import cast

from sqlalchemy import (
    Engine,
    Select,
    select,
)
from sqlalchemy.engine import URL
from sqlalchemy.pool import QueuePool

from engine.errors import ConfigError, StorageUnavailable
from engine.fact_json import unpack
from engine.facts import Decision, Fact
from engine.storage import claiming, notes, rotation
from engine.storage import connection as database
from engine.storage.audit import AuditLog
from engine.storage.buyers import BuyerQuery, Buyers, KnownBuyer
from engine.storage.erasure import erase
from engine.storage.fact_rows import FactRow, row_of
from engine.storage.months import count_before, drop_before
from engine.storage.planning import follow_indexes, keep_statistics
from engine.storage.pseudonyms import Pseudonyms
from engine.storage.rollups import SETTING as ROLLUP_SETTING
from engine.storage.rollups import SINCE as FACTS_SINCE
from engine.storage.rollups import Rollups
from engine.storage.scope import event_ids_in, of_checkouts
from engine.storage.secrets import load_secret
from engine.storage.store import AppendResult, FactScope
from engine.storage.tables import decisions, facts
from engine.storage.writer import NoteOf, writer_for

SCHEMA_VERSION = "0007"
"""The migration this code was written for."""

_TRIAL = "trial"
_TRIAL_CHARACTERS = 65_536
_FORMER = ("served", "loader")
"""Notes of versions that filled a database without its indexes."""
_OWN = (claiming.SETTING, ROLLUP_SETTING, FACTS_SINCE, _TRIAL, *_FORMER)
_INTERNAL = (*_OWN, "import:", "guardrail")
"""Begin of settings that are no words of the shop."""

_READ_AHEAD = 2_000
_IDS_AT_ONCE = 2_000


def open_store(url: str, *, secret: bytes | None = None, bulk: bool = False) -> SqlStore:
    """The store at `url`; nothing is asked of the database yet.

    Args:
        url: `sqlite:///FILE`, `postgresql://...`, or the bare path of a SQLite file.
        secret: key of the pseudonyms; where None, see `engine.storage.secrets`.
        bulk: for writing much at once: takes memory.

    Raises:
        ConfigError: an unknown kind of database, a missing driver, an unreadable secret.
    """
    parsed = database.parse_url(url)
    pseudonyms = Pseudonyms(load_secret(parsed) if secret is None else secret)
    engine = database.connect(parsed, bulk=bulk)
    return SqlStore(engine, parsed, lambda: pseudonyms)


def open_existing_store(url: str) -> SqlStore:
    """The store at `url`, which must be there: a mistyped name is no shop without sales.

    The secret is asked for only where an id has to be hashed: reports and exports need none.

    Raises:
        ConfigError: as `open_store`, and where a SQLite file does not exist.
    """
    parsed = database.parse_url(url)
    if parsed.get_backend_name() == "sqlite" and not Path(parsed.database or "").is_file():
        raise ConfigError(
            f"there is no database at {parsed.database}; `mersalg serve` and"
            " `mersalg events import` make one"
        )
    return SqlStore(database.connect(parsed), parsed, lambda: Pseudonyms(load_secret(parsed)))


class SqlStore:
    """A `Store`; see there for what each method promises."""

    def __init__(self, engine: Engine, url: URL, pseudonyms: Callable[[], Pseudonyms]) -> None:
        self._engine, self._url, self._make_pseudonyms = engine, url, pseudonyms
        self._writer = writer_for(engine, url)
        self._buyers = Buyers(engine, url, lambda: self.pseudonyms)

    @cached_property
    def pseudonyms(self) -> Pseudonyms:
        """Under which ids are kept; what asks for it needs the secret."""
        return self._make_pseudonyms()

    @property
    def address(self) -> str | None:
        if not isinstance(self._engine.pool, QueuePool):  # it lies in this process's memory
            return None
        return self._url.render_as_string(hide_password=False)

    @property
    def url(self) -> URL:
        """Where the database is, password included."""
        return self._url

    def migrate(self, *, serving: bool = False) -> None:
        self.upgrade()
        with database.speaking(self._url), database.writing(self._engine) as connection:
            claiming.claim(connection, self.pseudonyms)
        if serving:
            self._writer.serve()

    def upgrade(self) -> None:
        """The schema alone, for readers, who need no secret; nothing is written where it fits.

        Raises:
            StorageMismatch: the database belongs to a later version.
        """
        with database.speaking(self._url):
            with self._engine.connect() as connection:
                version = database.schema_version(connection)
            if version != SCHEMA_VERSION:
                database.upgrade(self._engine)

    def append(self, facts: Sequence[Fact], *, trusted: bool = False) -> AppendResult:
        names = self.pseudonyms
        return self.append_prepared([row_of(fact, names, trusted=trusted) for fact in facts])

    def append_prepared(self, facts: Sequence[FactRow], note: NoteOf | None = None) -> AppendResult:
        """As `append`, of facts that were made ready before, pseudonyms and all.

        `note`: see `Writer.write`.
        """
        return self._writer.write(facts, note)

    def facts(self, scope: FactScope) -> Iterator[Fact]:
        return self._read(event_ids_in(scope), few=scope.is_narrow)

    def facts_of_checkouts(self, checkout_ids: Sequence[str]) -> Iterator[Fact]:
        for start in range(0, len(checkout_ids), _IDS_AT_ONCE):
            ids = checkout_ids[start : start + _IDS_AT_ONCE]
            chosen = select(facts.c.checkout_id).where(facts.c.checkout_id.in_(ids))
            yield from self._read(of_checkouts(chosen), few=True)

    def count_before(self, instant: int) -> int:
        with database.speaking(self._url), self._engine.connect() as connection:
            return count_before(connection, instant)

    def drop_before(self, instant: int, dropped: Callable[[int], None]) -> int:
        with database.speaking(self._url):
            return drop_before(self._engine, instant, dropped)

    @cached_property
    def audit(self) -> AuditLog:
        return AuditLog(self._engine, self._url)

    def pseudonym_of(self, customer_id: str) -> str:
        return self.pseudonyms.of("customer", customer_id, trusted=True)

    @cached_property
    def rollups(self) -> Rollups:
        return Rollups(self._engine, self._url)

    def customer_facts(self, customer_id: str) -> Iterator[Fact]:
        pseudonym = self.pseudonym_of(customer_id)
        theirs = select(facts.c.event_id).where(facts.c.customer_id == pseudonym)
        return self._read(theirs, few=True)

    def known_buyers(
        self, queries: Sequence[BuyerQuery], *, trusted: bool = False
    ) -> list[KnownBuyer]:
        return self._buyers.known(queries, trusted=trusted)

    def _read(self, wanted: Select[tuple[str]] | None, *, few: bool) -> Iterator[Fact]:
        query = select(facts.c.body).order_by(facts.c.occurred_at, facts.c.event_id)
        if wanted is not None:
            query = query.where(facts.c.event_id.in_(wanted))
        with database.speaking(self._url), self._engine.connect() as connection:
            keep_statistics(self._engine)
            if few:
                follow_indexes(connection)
            streamed = connection.execution_options(yield_per=_READ_AHEAD)
            for body in streamed.scalars(query):
                yield unpack(body)

    def decision(self, decision_id: str) -> Decision | None:
        query = (
            select(facts.c.body)
            .join(decisions, decisions.c.event_id == facts.c.event_id)
            .where(decisions.c.decision_id == decision_id)
        )
        with database.speaking(self._url), self._engine.connect() as connection:
            body = connection.scalar(query)
        return None if body is None else cast(Decision, unpack(body))

    def settings(self) -> Mapping[str, str]:
        with database.speaking(self._url), self._engine.connect() as connection:
            noted = notes.all_notes(connection)
        return {name: value for name, value in noted.items() if not name.startswith(_INTERNAL)}

    def save_settings(self, settings: Mapping[str, str]) -> None:
        chosen = {name: settings[name] for name in settings if not name.startswith(_INTERNAL)}
        if not chosen:
            return
        with database.speaking(self._url), database.writing(self._engine) as connection:
            for name, value in sorted(chosen.items()):
                notes.keep_note(connection, name, value)

    def own_setting(self, name: str) -> str | None:
        """A note of this software's own; None where there is none."""
        with database.speaking(self._url), self._engine.connect() as connection:
            return notes.note(connection, name)

    def keep_setting(self, name: str, value: str) -> None:
        """Keep such a note, instead of one of its name before."""
        with database.speaking(self._url), database.writing(self._engine) as connection:
            notes.keep_note(connection, name, value)

    def forget_setting(self, name: str) -> None:
        with database.speaking(self._url), database.writing(self._engine) as connection:
            notes.forget_note(connection, name)

    def erase_customer(self, customer_id: str) -> int:
        pseudonym = self.pseudonym_of(customer_id)
        with database.speaking(self._url), database.writing(self._engine) as connection:
            return erase(connection, pseudonym)

    def is_ours(self) -> bool | None:
        """Whether ids are hashed under the present secret; None where nobody has claimed it yet."""
        with database.speaking(self._url), self._engine.connect() as connection:
            mark = claiming.mark_of(connection)
        return None if mark is None else mark == self.pseudonyms.fingerprint

    def rotate(self, looked_at: Callable[[int], None]) -> int:
        """Bring every pseudonym under the newest of the secrets; the number of facts renewed.

        `looked_at` is told after each batch how many of it were renewed. Safe to run again, and to
        go on with after a crash. Raises StorageMismatch where the ids
        were hashed under a secret that is not among those given.
        """
        self.upgrade()
        with database.speaking(self._url):
            return rotation.rotate(self._engine, self.pseudonyms, looked_at)

    def ping(self) -> None:
        with database.speaking(self._url), self._engine.connect() as connection:
            version = database.schema_version(connection)
        if version != SCHEMA_VERSION:
            found = "none" if version is None else version
            raise StorageUnavailable(
                f"the database has schema {found}, this program needs {SCHEMA_VERSION};"
                " run `mersalg migrate`"
            )

    def try_writing(self) -> None:
        self.keep_setting(_TRIAL, " " * _TRIAL_CHARACTERS)
        self.forget_setting(_TRIAL)

    def close(self) -> None:
        self._writer.close()
        self._buyers.close()
        self._engine.dispose()
