"""Read facts about the buyers of suggestion calls, for all that wait together."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from weakref import WeakKeyDictionary

from mersalg.engine import clock
from mersalg.engine.errors import StorageError
from mersalg.engine.experiment import PUBLIC_SALT, assign_arm, unit_of
from mersalg.engine.facts import Arm
from mersalg.engine.model import Model
from mersalg.engine.storage.questions import Bought, BuyerQuery, KnownBuyer
from mersalg.serving.checkout import consents
from mersalg.serving.group_commit import GroupCommit, QueueFull, TimeBudget
from mersalg.serving.recent import Recent
from mersalg.serving.schemas import SuggestionRequest

_FRESH_SECONDS = 30.0
"""How long a customer's purchases are taken as they were."""
_QUIET_SECONDS = 0.1
"""How long no dismissals are asked for once nobody dismissed anything."""
_THREADS = 2
"""A question that hangs does not hold up the next."""

_Buyer = tuple[str, str | None, str | None]


class KnownBuyers:
    """Ask the database at most once a call, and remember what it answered.

    `look_up` answers the queries of several calls, in order; it blocks, and may raise StorageError.
    """

    def __init__(self, look_up: Callable[[Sequence[BuyerQuery]], Sequence[KnownBuyer]]) -> None:
        self._arms: Recent[str, Arm] = Recent(10_000)
        self._purchases: Recent[str, tuple[float, int, tuple[Bought, ...]]] = Recent(5_000)
        self._dismissed: Recent[_Buyer, tuple[str, ...]] = Recent(5_000)
        self._quiet_until = float("-inf")
        self._last_orders: WeakKeyDictionary[Model, int] = WeakKeyDictionary()

        def answer(queries: Sequence[BuyerQuery]) -> Sequence[KnownBuyer | Exception]:
            try:
                return look_up(queries)
            except StorageError as error:  # logged by the intake, once
                return [error] * len(queries)

        self._reads: GroupCommit[BuyerQuery, KnownBuyer] = GroupCommit(
            "mersalg-reads", answer, linger=0, threads=_THREADS, only_reads=True
        )
        self._reads.start()

    async def of(
        self,
        model: Model | None,
        request: SuggestionRequest,
        budget: TimeBudget,
        *,
        recall: bool = True,
        salt: str | None = PUBLIC_SALT,
    ) -> KnownBuyer:
        """Return what is known of the buyer of a call.

        Where the database fails or is late, this is what it answered before. `recall`: whether the
        caller may learn from the answer what the customer did; `salt` is as in `decide`.
        """
        session_id, customer_id = request.session_id, request.customer_id
        # Without consent nobody is looked up: the dismissals in this checkout are all there is.
        if not consents(model, request):
            session_id = customer_id = None
        arm = None
        if session_id is not None:
            arm = self._arms.get(session_id)
        arm_session_id = None
        if arm is None and _login_could_change_arm(model, session_id, customer_id, salt):
            arm_session_id = session_id
        if not recall:
            customer_id = None
        now = time.monotonic()
        purchases: tuple[Bought, ...] = ()
        bought_after = None
        if model is not None and customer_id is not None:
            moment = self._last_order(model)
            at, until, purchases = self._purchases.get(customer_id, (float("-inf"), moment, ()))
            if until != moment:
                at, purchases = float("-inf"), ()
            if now - at >= _FRESH_SECONDS:
                bought_after = moment
        buyer = (request.checkout_id, session_id, customer_id)
        days = model.settings.offers.declined_days if model is not None else 0
        dismissed: tuple[str, ...] = ()
        dismissed_after = None
        if days and now >= self._quiet_until:
            dismissed = self._dismissed.get(buyer, ())
            dismissed_after = clock.now() - round(days * clock.MICROS_PER_DAY)
        answer = await self._answer(
            BuyerQuery(*buyer, arm_session_id, bought_after, dismissed_after), budget
        )
        if answer is not None:
            if arm_session_id is not None:
                arm = answer.arm
            if bought_after is not None and customer_id is not None:
                purchases = answer.purchases
                self._purchases[customer_id] = (now, bought_after, purchases)
            if dismissed_after is not None:
                dismissed = answer.dismissed_item_ids
                self._remember_dismissed(buyer, answer)
        return KnownBuyer(arm, purchases, dismissed)

    def set_arm(self, session_id: str | None, arm: Arm) -> None:
        """Remember the arm of a session's decision; the first one stays."""
        if session_id is not None:
            self._arms[session_id] = self._arms.get(session_id, arm)

    def forget_purchases(self, customer_ids: Iterable[str]) -> None:
        """Ask again for customers who just bought something."""
        for customer_id in customer_ids:
            self._purchases.pop(customer_id, None)

    def note_dismissal(self) -> None:
        """Ask for dismissals again: one was recorded here."""
        self._quiet_until = float("-inf")

    def close(self) -> None:
        """End the threads that read, without waiting for them."""
        self._reads.close(timeout=0)

    async def _answer(self, query: BuyerQuery, budget: TimeBudget) -> KnownBuyer | None:
        """Return None where there is nothing to ask, or no answer in time."""
        if query[3:] == (None, None, None) or budget.is_spent:
            return None
        try:
            answering = self._reads.submit(query)
        except QueueFull:
            return None
        # A query that is still in the queue when the time is over is not asked at all.
        if not await budget.wait_for(answering):
            return None
        try:
            return answering.result()
        except StorageError:
            return None

    def _remember_dismissed(self, buyer: _Buyer, known: KnownBuyer) -> None:
        if known.dismissed_item_ids:
            self._dismissed[buyer] = known.dismissed_item_ids
        else:
            self._dismissed.pop(buyer, None)
        if not known.any_dismissed:
            self._quiet_until = time.monotonic() + _QUIET_SECONDS

    def _last_order(self, model: Model) -> int:
        """Return the moment of the last order the model has seen, found once for each model."""
        moment = self._last_orders.get(model)
        if moment is None:
            moment = model.customers.known_until if model.customers is not None else 0
            self._last_orders[model] = moment
        return moment


def _login_could_change_arm(
    model: Model | None, session_id: str | None, customer_id: str | None, salt: str | None
) -> bool:
    """Return whether customer and session are drawn into different arms: 2 h (1 - h) of logins."""
    if model is None or session_id is None or customer_id is None:
        return False
    experiment = model.settings.experiment
    salt = experiment.salt_of(salt)
    if salt is None:
        return False
    units = (unit_of(customer_id, None), unit_of(None, session_id))
    drawn = {assign_arm(unit, salt=salt, holdout=experiment.holdout) for unit in units}
    return len(drawn) > 1
