"""What is known of a buyer is asked for once, and kept where the database does not answer."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
from msgspec.structs import replace

from mersalg.engine.config import ExperimentSection, OffersSection
from mersalg.engine.errors import StorageUnavailable
from mersalg.engine.experiment import assign_arm, unit_of
from mersalg.engine.facts import Arm
from mersalg.engine.model import Model
from mersalg.engine.storage.questions import BuyerQuery, KnownBuyer
from mersalg.serving.group_commit import TimeBudget
from mersalg.serving.known_buyers import KnownBuyers
from mersalg.serving.schemas import SuggestionRequest
from tests.support.models import tiny_model
from tests.support.waiting import WAIT_SECONDS, eventually

MODEL = tiny_model()
IN_SESSION = SuggestionRequest(checkout_id="k", session_id="s")


@dataclass
class Database:
    """Gives the answers in their order, the last of them again and again."""

    answers: list[KnownBuyer | Exception]
    asked: list[BuyerQuery] = field(default_factory=list[BuyerQuery])
    gate: threading.Event = field(default_factory=threading.Event)
    hangs: bool = False

    def look_up(self, queries: Sequence[BuyerQuery]) -> Sequence[KnownBuyer]:
        # Before it hangs: meanwhile another thread may ask.
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        self.asked += queries
        if self.hangs:
            assert self.gate.wait(WAIT_SECONDS)
        if isinstance(answer, Exception):
            raise answer
        return [answer] * len(queries)


def known(
    buyers: KnownBuyers,
    request: SuggestionRequest = IN_SESSION,
    seconds: float = WAIT_SECONDS,
    model: Model | None = MODEL,
    **options: bool,
) -> KnownBuyer:
    return asyncio.run(buyers.of(model, request, TimeBudget(seconds), **options))


def drawn_differently(model: Model) -> SuggestionRequest:
    """Return a call whose customer and session are drawn into different arms."""
    own: ExperimentSection = model.settings.experiment

    def arm(customer: str | None, session: str | None) -> Arm:
        return assign_arm(unit_of(customer, session), salt=own.salt, holdout=own.holdout)

    session = "s"
    customer = next(
        name for number in range(1_000) if arm(name := f"c{number}", None) != arm(None, session)
    )
    return SuggestionRequest(checkout_id="k", session_id=session, customer_id=customer)


def test_nothing_is_asked_while_nobody_dismisses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mersalg.serving.known_buyers._QUIET_SECONDS", 10 * WAIT_SECONDS)
    database = Database([KnownBuyer(any_dismissed=False), KnownBuyer(None, (), ("case-1",))])
    buyers = KnownBuyers(database.look_up)
    assert [known(buyers).dismissed_item_ids for _ in range(3)] == [(), (), ()]
    assert len(database.asked) == 1
    buyers.note_dismissal()
    assert known(buyers).dismissed_item_ids == ("case-1",)
    assert len(database.asked) == 2
    buyers.close()


def test_a_lost_or_slow_database_leaves_the_dismissals_it_answered_before() -> None:
    dismissed, none = KnownBuyer(None, (), ("case-1",)), KnownBuyer()
    database = Database([dismissed, StorageUnavailable("gone"), dismissed, none])
    buyers = KnownBuyers(database.look_up)
    assert known(buyers).dismissed_item_ids == ("case-1",)
    assert known(buyers, seconds=0).dismissed_item_ids == ("case-1",)
    assert len(database.asked) == 1
    assert known(buyers).dismissed_item_ids == ("case-1",)
    database.hangs = True

    def is_asked_in_vain() -> bool:
        # On a busy machine the time may be over before the question is asked.
        assert known(buyers, seconds=0.1).dismissed_item_ids == ("case-1",)
        return len(database.asked) == 3

    eventually(is_asked_in_vain)
    database.hangs = False
    database.gate.set()
    assert known(buyers).dismissed_item_ids == ()
    assert known(buyers, seconds=0).dismissed_item_ids == ()
    buyers.close()


def test_a_shop_may_forget_dismissals_at_once() -> None:
    forgetful = tiny_model(offers=OffersSection(declined_days=0))
    database = Database([KnownBuyer(None, (), ("case-1",))])
    buyers = KnownBuyers(database.look_up)
    assert known(buyers, model=forgetful).dismissed_item_ids == ()
    assert known(buyers, model=None).dismissed_item_ids == ()
    assert database.asked == []
    assert known(buyers).dismissed_item_ids == ("case-1",)
    buyers.close()


def test_purchases_are_asked_for_again_once_the_customer_bought() -> None:
    request = SuggestionRequest(checkout_id="k", customer_id="kari")
    first, second = ((1, ("case-1",)),), ((1, ("case-1",)), (2, ("glass",)))
    database = Database([KnownBuyer(None, first, (), False), KnownBuyer(None, second, (), False)])
    buyers = KnownBuyers(database.look_up)
    assert [known(buyers, request).purchases for _ in range(2)] == [first, first]
    buyers.forget_purchases(["kari"])
    assert known(buyers, request, seconds=0).purchases == ()
    assert known(buyers, request).purchases == second
    assert sum(query.bought_after is not None for query in database.asked) == 2
    buyers.close()


def test_the_first_arm_of_a_session_is_kept() -> None:
    model = tiny_model(holdout=0.5)
    request = drawn_differently(model)
    database = Database([KnownBuyer(arm="control"), KnownBuyer()])
    buyers = KnownBuyers(database.look_up)
    assert known(buyers, request, model=model).arm == "control"
    assert database.asked[0].arm_session_id == "s"
    assert known(buyers, request, model=model).arm is None
    buyers.set_arm("s", "control")
    buyers.set_arm("s", "treatment")  # too late
    buyers.set_arm(None, "treatment")
    assert known(buyers, request, model=model).arm == "control"
    assert known(buyers, request, seconds=0, model=model).arm == "control"
    assert [query.arm_session_id for query in database.asked] == ["s", "s", None]
    buyers.close()


def test_the_arm_is_asked_for_only_where_a_login_could_change_it() -> None:
    database = Database([KnownBuyer()])
    buyers = KnownBuyers(database.look_up)
    known(buyers, model=tiny_model(holdout=0.5))
    assert [query.arm_session_id for query in database.asked] == [None]
    buyers.close()


@pytest.mark.parametrize(("recall", "consent"), [(False, True), (True, False), (False, False)])
def test_nobody_is_looked_up_without_consent_or_for_strangers(recall: bool, consent: bool) -> None:
    model = tiny_model(holdout=0.5)
    request = replace(drawn_differently(model), consent=consent)
    database = Database([KnownBuyer("control", (), ("case-1",))])
    buyers = KnownBuyers(database.look_up)
    found = known(buyers, request, model=model, recall=recall)
    # With consent the session still decides the arm; what was dismissed in this checkout is left
    # out in any case.
    arm = "control" if consent else None
    assert (found.arm, found.dismissed_item_ids) == (arm, ("case-1",))
    [query] = database.asked
    assert (query.checkout_id, query.arm_session_id) == ("k", "s" if consent else None)
    assert query.session_id == ("s" if consent else None)
    assert (query.customer_id, query.bought_after) == (None, None)
    buyers.close()


def test_a_slow_or_lost_database_is_not_waited_for() -> None:
    request = drawn_differently(model := tiny_model(holdout=0.5))
    slow = Database([KnownBuyer(arm="control")], hangs=True)
    lost = Database([StorageUnavailable("away")])
    for database, seconds in ((slow, 0.05), (lost, WAIT_SECONDS)):
        buyers = KnownBuyers(database.look_up)
        budget = TimeBudget(seconds)
        assert asyncio.run(buyers.of(model, request, budget)).arm is None
        assert budget.is_spent is (database is slow)
        buyers.close()
    slow.gate.set()


def test_a_question_that_hangs_does_not_hold_up_the_next() -> None:
    database = Database([KnownBuyer(None, (), ("case-1",))], hangs=True)
    buyers = KnownBuyers(database.look_up)
    assert known(buyers, seconds=0.05).dismissed_item_ids == ()
    database.hangs = False
    other = SuggestionRequest(checkout_id="k2")
    assert known(buyers, other).dismissed_item_ids == ("case-1",)
    database.gate.set()
    buyers.close()
