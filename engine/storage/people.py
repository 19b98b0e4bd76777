"""People in the stored facts: their pseudonyms, what is stored about one, erasure, new secrets."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

from msgspec.structs import replace
from sqlalchemy import Connection, Select, select, union, update

from mersalg.engine.errors import StorageMismatch
from mersalg.engine.fact_bodies import digest_and_pack, pack
from mersalg.engine.fact_json import unpack
from mersalg.engine.facts import Fact
from mersalg.engine.storage import settings
from mersalg.engine.storage.connection import Database
from mersalg.engine.storage.facts import ERASED, Facts
from mersalg.engine.storage.pseudonyms import Pseudonyms
from mersalg.engine.storage.tables import facts, rollup_units

BATCH = 2_000


class People:
    """The people of one database; raises StorageUnavailable as `Facts`.

    `pseudonyms` is called when the first id is hashed.
    """

    def __init__(
        self, database: Database, stored: Facts, pseudonyms: Callable[[], Pseudonyms]
    ) -> None:
        self._database, self._stored, self._pseudonyms = database, stored, pseudonyms

    @cached_property
    def pseudonyms(self) -> Pseudonyms:
        """The hashes under which ids are stored; asking for them needs the secret."""
        return self._pseudonyms()

    def pseudonym_of(self, customer_id: str) -> str:
        """Return the pseudonym under which a customer's facts are stored.

        A text in the form of a pseudonym is one, unless a customer has it as their id.
        """
        hashed = self.pseudonyms.of("customer", customer_id)
        given = self.pseudonyms.of("customer", customer_id, trusted=True)
        if given == hashed:
            return hashed
        with self._database.reading() as connection:
            theirs = select(facts.c.event_id).where(facts.c.customer_id == hashed).limit(1)
            return given if connection.scalar(theirs) is None else hashed

    def facts(self, customer_id: str) -> Iterator[Fact]:
        """Yield every fact of a customer, ordered by (occurred_at, event_id).

        These are the facts that name them, and those of their sessions that name nobody.
        """
        pseudonym = self.pseudonym_of(customer_id)
        named = _naming(pseudonym).cte("named")
        theirs = union(
            select(named.c.event_id),
            select(facts.c.event_id)
            .where(facts.c.session_id.in_(select(named.c.session_id)))
            .where(facts.c.customer_id.is_(None)),
        ).cte("theirs")
        return self._stored.read_ids(select(theirs.c.event_id), few=True)

    def units(self, customer_id: str) -> list[str]:
        """Return the names under which roll-ups count a customer and their sessions."""
        pseudonym = self.pseudonym_of(customer_id)
        with self._database.reading() as connection:
            sessions = {each.session_id for each in connection.execute(_naming(pseudonym))} - {None}
            names = [f"{kind}:{each}" for each in (pseudonym, *sessions) for kind in ("c", "s")]
            stored = select(rollup_units.c.name).where(rollup_units.c.name.in_(names))
            return sorted(connection.scalars(stored))

    def erase(self, customer_id: str) -> int:
        """Cut the tie between a customer and their facts; return the number of facts changed.

        The customer's pseudonym is replaced by a random one that nobody can derive again, the
        same in all their facts, and the sessions of those facts likewise: every count stays.
        """
        pseudonym = self.pseudonym_of(customer_id)
        # Before the transaction that writes, for all facts are read.
        with self._database.reading() as connection:
            named = connection.execute(_naming(pseudonym)).all()
        sessions = sorted({each.session_id for each in named} - {None})
        with self._database.writing() as connection:
            return _erase(connection, pseudonym, [each.event_id for each in named], sessions)

    def secret_matches(self) -> bool | None:
        """Return whether ids are hashed under the present secret, None before the first fact."""
        with self._database.reading() as connection:
            stored = settings.note(connection, settings.SECRET_FINGERPRINT)
        return None if stored is None else stored == self.pseudonyms.fingerprint

    def claim(self) -> None:
        """Note that ids are hashed under this secret; raise as `check_secret`."""
        with self._database.writing() as connection:
            self._claim(connection)

    def check_secret(self) -> None:
        """Raise StorageMismatch where ids are hashed under another secret: none would be found."""
        with self._database.reading() as connection:
            self._check(settings.note(connection, settings.SECRET_FINGERPRINT))

    def rotate(self, renewed: Callable[[int], None]) -> int:
        """Bring every pseudonym under the newest secret; return the number of facts changed.

        If interrupted, run it again and it resumes. `renewed` is called after each batch with the
        number of its facts that were changed. Raise StorageMismatch where the ids are hashed under
        a secret that is not among those of this process.
        """
        total = 0
        with self._database.writing() as connection:
            # First, so that no process with the earlier secrets alone starts meanwhile.
            if (
                settings.note(connection, settings.SECRET_FINGERPRINT)
                in self.pseudonyms.earlier_fingerprints
            ):
                settings.keep_note(
                    connection, settings.SECRET_FINGERPRINT, self.pseudonyms.fingerprint
                )
            self._claim(connection)
        after: str | None = ""
        while after is not None:
            with self._database.writing() as connection:
                after, n_renewed = _renew_batch(connection, self.pseudonyms, after)
            total += n_renewed
            renewed(n_renewed)
        with self._database.writing() as connection:
            _renew_units(connection, self.pseudonyms.renewed)
        return total

    def _claim(self, connection: Connection) -> None:
        name = settings.SECRET_FINGERPRINT
        self._check(settings.note_once(connection, name, self.pseudonyms.fingerprint))

    def _check(self, stored: str | None) -> None:
        if stored is None or stored == self.pseudonyms.fingerprint:
            return
        hint = ""
        if stored in self.pseudonyms.earlier_fingerprints:
            hint = "; `mersalg customers rotate --present` brings them under this one"
        raise StorageMismatch(
            f"the ids in this database were hashed under another secret ({stored}, this one is"
            f" {self.pseudonyms.fingerprint}); give that secret in MERSALG_SECRET or"
            f" MERSALG_SECRET_FILE{hint}"
        )


def _erase(
    connection: Connection, pseudonym: str, event_ids: Sequence[str], sessions: Sequence[str]
) -> int:
    """Give a customer's facts and sessions random pseudonyms; return the number of facts."""
    bodies: dict[str, str] = {}
    for column, values in ((facts.c.event_id, event_ids), (facts.c.session_id, sessions)):
        for start in range(0, len(values), BATCH):
            some = column.in_(values[start : start + BATCH])
            rows = connection.execute(select(facts.c.event_id, facts.c.body).where(some))
            bodies |= {row.event_id: row.body for row in rows}
    # No id leads to these pseudonyms.
    random = {old: f"{ERASED}{secrets.token_hex(16)}" for old in (pseudonym, *sessions)}
    for event_id, body in bodies.items():
        fact = unpack(body)
        hidden = replace(
            fact,
            customer_id=random.get(fact.customer_id or "", fact.customer_id),
            session_id=random.get(fact.session_id or "", fact.session_id),
        )
        # The digest stays, so that the same fact delivered again is still a duplicate.
        connection.execute(
            update(facts)
            .where(facts.c.event_id == event_id)
            .values(
                customer_id=hidden.customer_id,
                session_id=hidden.session_id,
                body=pack(hidden).decode(),
            )
        )
    _rename_units(
        connection,
        {f"{kind}:{old}": f"{kind}:{new}" for old, new in random.items() for kind in ("c", "s")},
    )
    return len(bodies)


def _naming(pseudonym: str) -> Select[Any, Any]:
    """Select id and session of the facts that name a customer: no index holds all of them."""
    return select(facts.c.event_id, facts.c.session_id).where(facts.c.customer_id == pseudonym)


def _renew_batch(
    connection: Connection, pseudonyms: Pseudonyms, after: str
) -> tuple[str | None, int]:
    """Bring the pseudonyms of the next batch of facts, by `event_id`, under the newest secret.

    Return the `event_id` to continue from (None: no fact is left), and the number of facts renewed.
    """
    query = (
        select(facts.c.event_id, facts.c.customer_id, facts.c.session_id)
        .where(facts.c.event_id > after)
        .order_by(facts.c.event_id)
        .limit(BATCH)
    )
    read = connection.execute(query).all()
    if not read:
        return None, 0
    earlier = tuple(f"p1.{mark}." for mark in pseudonyms.earlier_fingerprints)
    wanted = [
        row.event_id
        for row in read
        if (row.customer_id or "").startswith(earlier) or (row.session_id or "").startswith(earlier)
    ]
    rows = connection.execute(
        select(facts.c.event_id, facts.c.digest, facts.c.body).where(facts.c.event_id.in_(wanted))
    ).all()
    for row in rows:
        fact = unpack(row.body)
        renewed = replace(
            fact,
            customer_id=fact.customer_id and pseudonyms.renewed(fact.customer_id),
            session_id=fact.session_id and pseudonyms.renewed(fact.session_id),
        )
        digest, body = digest_and_pack(renewed)
        # The digest of an erased person's fact is that of a pseudonym that is gone; it stays.
        untouched = bytes(row.digest) == digest_and_pack(fact)[0]
        connection.execute(
            update(facts)
            .where(facts.c.event_id == row.event_id)
            .values(
                customer_id=renewed.customer_id,
                session_id=renewed.session_id,
                digest=digest if untouched else row.digest,
                body=body.decode(),
            )
        )
    return read[-1].event_id, len(rows)


def _rename_units(connection: Connection, names: Mapping[str, str]) -> None:
    """Rename units, which keep their numbers, as those of an erased customer."""
    for old, new in names.items():
        connection.execute(update(rollup_units).where(rollup_units.c.name == old).values(name=new))


def _renew_units(connection: Connection, renewed: Callable[[str], str]) -> None:
    """Rename units whose pseudonyms get a new secret; they keep their numbers."""
    for row in connection.execute(select(rollup_units)).all():
        kind, _, pseudonym = row.name.partition(":")
        if kind != "k" and pseudonym.startswith("p1."):
            name = f"{kind}:{renewed(pseudonym)}"
            if name != row.name:
                _rename_units(connection, {row.name: name})
