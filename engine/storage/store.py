"""The store of one database, SQLite or PostgreSQL through one code, in six parts.

| part | holds |
|---|---|
| `facts` | appending facts, and reading those of a period |
| `questions` | the short questions of suggestion calls |
| `reports` | roll-ups of days, and the settings of the shop that reports need |
| `people` | pseudonyms, export and erasure of a customer, new secrets |
| `audit` | what administrators did |
| `live` | items and rules of the shop that change without a training |

The store itself opens, migrates, checks and closes the database.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from contextlib import nullcontext
from functools import cache
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.engine import URL
from sqlalchemy.pool import QueuePool

from mersalg.engine.errors import ConfigError, StorageUnavailable
from mersalg.engine.experiment import PUBLIC_SALT
from mersalg.engine.storage import connection, settings
from mersalg.engine.storage.audit import AuditEntry, AuditLog, add_entry
from mersalg.engine.storage.connection import Database
from mersalg.engine.storage.facts import Committing, Facts
from mersalg.engine.storage.live import LiveEntries
from mersalg.engine.storage.months import fold_months
from mersalg.engine.storage.people import People
from mersalg.engine.storage.pseudonyms import Pseudonyms, load_secret
from mersalg.engine.storage.questions import Questions
from mersalg.engine.storage.rollups import Reports
from mersalg.engine.storage.tables import decisions
from mersalg.engine.storage.writer import writers_for

SCHEMA_VERSION = "0016"
"""The migration this code was written for."""

_TRIAL_CHARACTERS = 65_536


def open_store(
    url: str,
    *,
    secret: bytes | None = None,
    bulk: bool = False,
    committing: Committing = nullcontext,
) -> Store:
    """Return the store at `url`; the database is not used yet.

    The URL is `sqlite:///FILE`, `postgresql://...`, or the bare path of a SQLite file. Without a
    `secret` see `load_secret`. For writing in `bulk` it uses more memory; `committing` surrounds
    each append of facts, as with the span of a trace. Raise ConfigError where the kind of database
    is unknown, its driver is missing, or the secret cannot be read.
    """
    parsed = connection.parse_url(url)
    pseudonyms = Pseudonyms(load_secret(parsed) if secret is None else secret)
    return Store(Database(parsed, bulk=bulk), lambda: pseudonyms, committing)


def open_existing_store(url: str) -> Store:
    """Return the store at `url`, which must exist: a mistyped name is no shop without sales.

    The secret is read only where an id has to be hashed: reports and exports need none. Raise
    ConfigError as `open_store`, and where a SQLite file does not exist.
    """
    parsed = connection.parse_url(url)
    if parsed.get_backend_name() == "sqlite" and not Path(parsed.database or "").is_file():
        raise ConfigError(
            f"there is no database at {parsed.database}; `mersalg serve` and"
            " `mersalg events import` make one"
        )
    return Store(Database(parsed), cache(lambda: Pseudonyms(load_secret(parsed))))


class Store:
    """Facts of a shop and what belongs to them; may be used from several threads.

    Every method, and those of the parts, raises StorageUnavailable where the database cannot
    answer.
    """

    def __init__(
        self,
        database: Database,
        pseudonyms: Callable[[], Pseudonyms],
        committing: Committing = nullcontext,
    ) -> None:
        self._database = database
        self._writers = writers_for(database)
        self.facts = Facts(database, self._writers, pseudonyms, committing)
        self.questions = Questions(database, pseudonyms)
        self.reports = Reports(database)
        self.people = People(database, self.facts, pseudonyms)
        self.audit = AuditLog(database)
        self.live = LiveEntries(database)

    @property
    def address(self) -> str | None:
        """URL under which other processes open the same database; it may hold a password.

        None where they cannot: it is in this process's memory.
        """
        if not isinstance(self._database.engine.pool, QueuePool):
            return None
        return self.url.render_as_string(hide_password=False)

    @property
    def url(self) -> URL:
        """URL of the database, password included."""
        return self._database.url

    def migrate(self, *, serving: bool = False) -> None:
        """Bring the schema to this version; safe to run again and from several processes.

        A `serving` process connects for writing now, before a caller waits for it. Raise
        StorageMismatch where the database belongs to a later version, or its ids are hashed under
        another secret.
        """
        self.upgrade()
        self.people.claim()
        self.salt()
        if serving:
            for writer in self._writers:
                writer.serve()

    def upgrade(self) -> None:
        """Bring the schema to this version without the secret; write nothing where it is.

        Raise StorageMismatch where the database belongs to a later version.
        """
        schema = self._schema()
        if schema is not None and schema < SCHEMA_VERSION:
            fold_months(self._database)
        if schema != SCHEMA_VERSION:
            self._database.upgrade()

    def ping(self) -> None:
        """Raise StorageUnavailable where the database does not answer, or its schema is another."""
        version = self._schema()
        if version != SCHEMA_VERSION:
            shown_version = "none" if version is None else version
            is_later = version is not None and version > SCHEMA_VERSION
            raise StorageUnavailable(
                f"the database has schema {shown_version}, this program needs {SCHEMA_VERSION}; "
                + (connection.UPGRADE_PROGRAM if is_later else "run `mersalg migrate`")
            )

    def _schema(self) -> str | None:
        with self._database.reading() as reading:
            driver = reading.connection.driver_connection
            with self._database.watched.running(driver):
                return connection.schema_version(reading)

    def end_hanging(self, seconds: float) -> None:
        """Give up batches, questions and looks at the schema that have run for longer.

        They raise StorageUnavailable, and the next ones go over new connections.
        """
        self._database.watched.end_hanging(seconds)

    def salt(self) -> str:
        """Return the salt that arms are drawn with, after making a random one where there is none.

        A database with decisions of earlier versions keeps the public one that they had.
        """
        salt_note = self.note(settings.SALT)
        if salt_note is not None:
            return salt_note
        with self._database.writing() as writing:
            is_used = writing.scalar(select(decisions.c.decision_id).limit(1)) is not None
            salt = PUBLIC_SALT if is_used else secrets.token_hex(16)
            return settings.note_once(writing, settings.SALT, salt) or salt

    def check_files(self) -> None:
        """Raise StorageUnavailable where the files of SQLite were exchanged under the writer."""
        for writer in self._writers:
            writer.check_files()

    def try_writing(self) -> None:
        """Write as much as a batch of decisions takes, and delete it again.

        Raise StorageError where the database takes nothing, whether or not it answers.
        """
        self.keep_note(settings.TRIAL, " " * _TRIAL_CHARACTERS)
        self.forget_note(settings.TRIAL)

    def note(self, name: str) -> str | None:
        """Return a note of this software's own, None where there is none of this name."""
        with self._database.reading() as reading:
            return settings.note(reading, name)

    def keep_note(self, name: str, value: str) -> None:
        """Keep a note of this software's own, in place of an earlier one of its name."""
        with self._database.writing() as writing:
            settings.keep_note(writing, name, value)

    def replace_note(
        self, name: str, known: str | None, value: str, entry: AuditEntry | None = None
    ) -> bool:
        """Keep a note where the present one is `known` (None: none); return whether it was.

        Where it was not, somebody else changed the note, which stays. The entry of the audit log
        is added in the same transaction.
        """
        with self._database.writing() as writing:
            is_kept = settings.replace_note(writing, name, known, value)
            if is_kept and entry is not None:
                add_entry(writing, entry)
            return is_kept

    def forget_note(self, name: str) -> None:
        """Delete a note of this software's own."""
        with self._database.writing() as writing:
            settings.forget_note(writing, name)

    def close(self) -> None:
        """Close all connections; a later call opens new ones."""
        for writer in self._writers:
            writer.close()
        self.questions.close()
        self._database.close()
