"""The small protocol every store of facts keeps; one conformance suite tests them all."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from engine.clock import MICROS_PER_DAY
from engine.facts import Decision, Fact

if TYPE_CHECKING:
    from engine.storage.audit import AuditLog
    from engine.storage.buyers import BuyerQuery, KnownBuyer
    from engine.storage.rollups import Rollups

_FEW_DAYS = 8


@dataclass(frozen=True, slots=True)
class Rejection:
    """A fact that was not taken: its index in the batch, a stable code and a sentence."""

    index: int
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class AppendResult:
    """`recorded` + `duplicates` + `len(rejected)` is the size of the batch.

    `duplicate_indices` tells which facts of the batch were duplicates, so that the answer to a
    batch made of several calls can be taken apart again.
    """

    recorded: int
    duplicates: int
    rejected: tuple[Rejection, ...] = ()
    duplicate_indices: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class FactScope:
    """Which facts a reader wants; instants in microseconds, half-open, None unbounded.

    A store returns every fact inside the bounds and of their transactions; whenever they occurred,
    all facts of the checkouts these belong to or name an offer of, and all that name an offer of
    those checkouts; and all that share a transaction or a session with any of them. It may return
    more; it never returns less. So nothing of the period is cut in two.
    """

    since: int | None = None
    until: int | None = None

    @property
    def is_narrow(self) -> bool:
        """Whether it is no more than a few days."""
        if self.since is None or self.until is None:
            return False
        return self.until - self.since <= _FEW_DAYS * MICROS_PER_DAY


class Store(Protocol):
    """Append-only facts, idempotent by `event_id`; instances may be used from several threads.

    Customer and session ids are kept as keyed hashes only: what is read back holds pseudonyms.
    Every method raises StorageUnavailable where the database cannot answer.
    """

    def migrate(self, *, serving: bool = False) -> None:
        """Bring the schema to this version; safe to run twice and from several processes.

        `serving`: facts will come one by one while callers wait, so that a connection is ready.
        """
        ...

    @property
    def address(self) -> str | None:
        """Where other processes find the same database; it may hold a password. None where no
        other can."""
        ...

    def append(self, facts: Sequence[Fact], *, trusted: bool = False) -> AppendResult:
        """Take a batch in one transaction; it is on disk when this returns.

        The same fact again counts as a duplicate; the same `event_id` (or `decision_id`,
        `offer_id`) with another body is rejected with code `conflict`. Ids that have the form of
        a pseudonym stay what they are only where the source is `trusted`: a file exported here.
        """
        ...

    def facts(self, scope: FactScope) -> Iterator[Fact]:
        """Facts in scope, ordered by (occurred_at, event_id)."""
        ...

    def facts_of_checkouts(self, checkout_ids: Sequence[str]) -> Iterator[Fact]:
        """Facts in scope of these checkouts, as `facts`; one may come several times."""
        ...

    @property
    def audit(self) -> AuditLog:
        """What administrators did."""
        ...

    def pseudonym_of(self, customer_id: str) -> str:
        """What a customer is called in what is kept."""
        ...

    @property
    def rollups(self) -> Rollups:
        """Days counted before, and which of them are out of date."""
        ...

    def count_before(self, instant: int) -> int:
        """How many facts occurred before an instant (microseconds)."""
        ...

    def drop_before(self, instant: int, dropped: Callable[[int], None]) -> int:
        """Delete every fact before an instant; their number. `dropped` is told after each step.

        Only `engine.tracking.retention` may: reports of that time need their roll-ups sealed.
        """
        ...

    def decision(self, decision_id: str) -> Decision | None:
        """One decision with all that explains it (evidence, gains, texts, scores)."""
        ...

    def settings(self) -> Mapping[str, str]:
        """What the shop told this database about itself (currency, time zone, ...)."""
        ...

    def save_settings(self, settings: Mapping[str, str]) -> None: ...

    def own_setting(self, name: str) -> str | None:
        """A note of this software's own; None where there is none."""
        ...

    def keep_setting(self, name: str, value: str) -> None:
        """Keep such a note, instead of one of its name before."""
        ...

    def forget_setting(self, name: str) -> None: ...

    def erase_customer(self, customer_id: str) -> int:
        """Cut the tie between a customer and their facts; the number of facts touched.

        The customer's pseudonym is replaced by a random one that nobody can derive again, the
        same in all their facts, and the sessions of those facts likewise: every count stays.
        """
        ...

    def customer_facts(self, customer_id: str) -> Iterator[Fact]:
        """Every fact that names the customer, ordered by (occurred_at, event_id)."""
        ...

    def known_buyers(
        self, queries: Sequence[BuyerQuery], *, trusted: bool = False
    ) -> list[KnownBuyer]:
        """What the facts say about the buyers of several suggestion calls, asked together; see
        `engine.storage.buyers.Buyers.known`."""
        ...

    def ping(self) -> None:
        """Raises StorageUnavailable where the database does not answer or has an old schema."""
        ...

    def try_writing(self) -> None:
        """Write as much as a batch of decisions takes, and delete it again.

        Raises:
            StorageError: the database takes nothing, whether or not it answers.
        """
        ...

    def close(self) -> None: ...
