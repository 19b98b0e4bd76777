"""Short questions of suggestion calls, whose buyers wait for the answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sqlalchemy import select

from engine.facts import Arm
from engine.storage import asking
from engine.storage.asking import Asking, Bought
from engine.storage.connection import Database
from engine.storage.dismissing import dismissed_by
from engine.storage.pseudonyms import Pseudonyms
from engine.storage.tables import IS_DISMISSAL, facts


class Questions:
    """What a suggestion call asks of the facts; raises StorageUnavailable as `Facts`.

    Parameters
    ----------
    database
        Holds the facts.
    pseudonyms
        Returns the hashes of ids; called at the first question.
    """

    def __init__(self, database: Database, pseudonyms: Callable[[], Pseudonyms]) -> None:
        self._database, self._pseudonyms = database, pseudonyms
        self._asking = Asking(database.engine, database.url)

    def session_arm(self, session_id: str) -> Arm | None:
        """Return the arm of a session's first decision, so that logging in never changes it."""
        return self.session_arms([session_id]).get(session_id)

    def session_arms(self, session_ids: Sequence[str]) -> dict[str, Arm]:
        """Return the same of several sessions, without those that have no decision."""
        return asking.session_arms(self._asking, self._pseudonyms(), session_ids)

    def purchases(
        self, customer_id: str, after: int, *, is_pseudonym: bool = False
    ) -> list[Bought]:
        """Return the last 250 purchases of a customer after a moment, the oldest first.

        Returned and cancelled ones count: they show what was wanted.

        Parameters
        ----------
        customer_id
            The customer's id.
        after
            Microseconds.
        is_pseudonym
            Whether `customer_id` was read from a stored fact.
        """
        return asking.purchases(
            self._asking, self._pseudonyms(), customer_id, after, is_pseudonym=is_pseudonym
        )

    def who_bought(self, customer_ids: Sequence[str], after: int) -> set[str]:
        """Return those of the customers that bought anything after a moment (microseconds)."""
        return asking.who_bought(self._asking, self._pseudonyms(), customer_ids, after)

    def any_dismissed(self, after: int) -> bool:
        """Return whether any buyer dismissed an offer after a moment (microseconds)."""
        query = select(facts.c.event_id).where(IS_DISMISSAL).where(facts.c.occurred_at > after)
        with self._database.reading() as connection:
            return connection.scalar(query.limit(1)) is not None

    def dismissed(
        self, checkout_id: str, session_id: str | None, customer_id: str | None, after: int
    ) -> list[str]:
        """Return the items of the offers a buyer dismissed after a moment, oldest first, each once.

        A dismissal is the buyer's where it or its decision names the checkout, the session or the
        customer.
        """
        names = self._pseudonyms()
        named = {
            "checkout_id": checkout_id,
            "session_id": session_id and names.of("session", session_id),
            "customer_id": customer_id and names.of("customer", customer_id),
        }
        with self._database.reading() as connection:
            return dismissed_by(connection, named, after)

    def close(self) -> None:
        """Close the connection; the next question opens another one."""
        self._asking.close()
