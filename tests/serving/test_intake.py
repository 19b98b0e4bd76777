"""Facts on their way to disk: recorded, deferred or off, and never counted twice."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import pytest
from msgspec.structs import replace

from mersalg.engine.errors import FactRejected, StorageUnavailable
from mersalg.engine.fact_bodies import pack
from mersalg.engine.fact_json import unpack
from mersalg.engine.facts import CartLine, Change, Decision, Event, Evidence, Fact, Offer, Replaces
from mersalg.engine.storage.fact_rows import AppendResult, FactRow, Rejection, row_of
from mersalg.engine.storage.pseudonyms import Pseudonyms
from mersalg.engine.storage.questions import BuyerQuery, KnownBuyer
from mersalg.serving.intake import Deadlines, Intake
from mersalg.serving.known_buyers import KnownBuyers
from mersalg.serving.metrics import Metrics
from mersalg.serving.schemas import SuggestionRequest
from mersalg.serving.spool import Spool
from tests.support.models import tiny_model
from tests.support.waiting import WAIT_SECONDS, eventually, eventually_async

T = TypeVar("T")
PSEUDONYMS = Pseudonyms(b"a secret of this test")

OFFERS = (
    Offer(
        "of-1",
        "cross_sell",
        "case-1",
        1,
        19900,
        "Case",
        0.31,
        "Often together",
        Evidence(("phone-64",), 412, 1310, 0.3145, 6.2, 5.6),
    ),
    Offer(
        "of-2",
        "upsell",
        "phone-256",
        1,
        699000,
        "Phone 256 GB",
        0.12,
        "4x the storage",
        None,
        Replaces("phone-64", 1, 100000),
        (Change("storage_gb", "64", "256"),),
        (Change("colour", "red", ""),),
    ),
)


def decision(number: int = 1) -> Decision:
    return Decision(
        event_id=f"d-{number}",
        decision_id=f"d-{number}",
        occurred_at=1_770_000_000_000_000 + number,
        checkout_id=f"ch-{number}",
        session_id="s-1",
        customer_id="c-1",
        arm="treatment",
        model_version="tiny-1",
        placement="checkout",
        currency="NOK",
        lines=(CartLine("phone-64", 1, 599000),),
        offers=OFFERS,
        control_share=0.1,
    )


def event(number: int) -> Event:
    return Event(f"e-{number}", "view_promotion", 1_770_000_000_000_000, offer_id="of-1")


def row(fact: Fact) -> FactRow:
    return row_of(fact, PSEUDONYMS)


class FakeStore:
    """The part of a store that intake uses, with a switch for every misfortune."""

    n_writers = 2

    def __init__(self) -> None:
        self.recorded: dict[str, FactRow] = {}
        self.n_appends = 0
        self.n_begun = 0
        self.away = False
        self.gate = threading.Event()
        self.gate.set()

    @property
    def facts(self) -> FakeStore:
        """The part that appends."""
        return self

    def rows_of(self, facts: Sequence[Fact], *, trusted: bool = False) -> list[FactRow]:
        return [row_of(fact, PSEUDONYMS, trusted=trusted) for fact in facts]

    def append(self, facts: Sequence[Fact]) -> AppendResult:
        return self.append_rows(self.rows_of(facts))

    def append_rows(self, facts: Sequence[FactRow]) -> AppendResult:
        self.n_begun += 1
        assert self.gate.wait(WAIT_SECONDS)
        if self.away:
            raise StorageUnavailable("away")
        self.n_appends += 1
        duplicates, rejected, recorded = [], [], 0
        for index, fact in enumerate(facts):
            known = self.recorded.get(fact.event_id)
            if known == fact:
                duplicates.append(index)
            elif known is not None:
                rejected.append(Rejection(index, "conflict", "another body"))
            else:
                self.recorded[fact.event_id] = fact
                recorded += 1
        return AppendResult(recorded, len(duplicates), tuple(rejected), tuple(duplicates))

    def end_hanging(self, seconds: float) -> None:
        """Do nothing: what waits for the gate goes on when that opens."""

    def migrate(self, *, serving: bool = False) -> None:
        del serving
        self.ping()

    def ping(self) -> None:
        if self.away:
            raise StorageUnavailable("away")

    def try_writing(self) -> None:
        assert self.gate.wait(WAIT_SECONDS)
        self.ping()


@contextmanager
def intake_of(
    store: FakeStore, folder: Path, *, deadline: float = WAIT_SECONDS, limit: int = 1_000_000
) -> Iterator[Intake]:
    intake = Intake(
        store,  # type: ignore[arg-type]
        Spool(folder, limit),
        Metrics(),
        deadlines=Deadlines(database=deadline, spool=WAIT_SECONDS, events=deadline),
    )
    intake.start()
    try:
        yield intake
    finally:
        store.gate.set()
        intake.close()


def run(make: Callable[[], Awaitable[T]]) -> T:
    async def inside() -> T:
        return await make()

    return asyncio.run(inside())


def test_a_recorded_decision_is_in_the_store(tmp_path: Path) -> None:
    store = FakeStore()
    with intake_of(store, tmp_path) as intake:
        assert run(lambda: intake.record(decision())) == "recorded"
    assert store.recorded == {"d-1": row(decision())}


def test_many_calls_share_transactions(tmp_path: Path) -> None:
    store = FakeStore()
    with intake_of(store, tmp_path) as intake:
        store.gate.clear()

        async def calls() -> list[str]:
            tasks = [asyncio.create_task(intake.record(decision(n))) for n in range(200)]
            # While the first are being written, all others have come.
            await eventually_async(lambda: store.n_begun == 1)
            store.gate.set()
            return list(await asyncio.gather(*tasks))

        assert run(calls) == ["recorded"] * 200
    assert len(store.recorded) == 200
    assert store.n_appends <= 3


def test_a_lost_database_defers_and_is_made_up_for(tmp_path: Path) -> None:
    store = FakeStore()
    store.away = True
    with intake_of(store, tmp_path) as intake:
        for number in range(3):
            assert run(lambda number=number: intake.record(decision(number))) == "deferred"
        assert store.recorded == {}
        assert not intake.available
        store.away = False
        eventually(lambda: len(store.recorded) == 3)
        eventually(lambda: intake.available)
        assert run(lambda: intake.record(decision(9))) == "recorded"
    assert store.recorded["d-1"] == row(decision(1))  # with evidence, gains and texts
    assert list(tmp_path.iterdir()) == []


def test_a_slow_database_defers_and_counts_once(tmp_path: Path) -> None:
    store = FakeStore()
    with intake_of(store, tmp_path, deadline=0.05) as intake:
        store.gate.clear()
        assert run(lambda: intake.record(decision())) == "deferred"
        store.gate.set()
        eventually(lambda: store.n_appends >= 2)  # the write in flight, and the replay
    assert store.recorded == {"d-1": row(decision())}


def test_the_question_of_a_call_and_its_fact_share_its_time(tmp_path: Path) -> None:
    store = FakeStore()

    def look_up(queries: Sequence[BuyerQuery]) -> list[KnownBuyer]:
        assert store.gate.wait(WAIT_SECONDS)
        return [KnownBuyer(dismissed_item_ids=("case-1",))] * len(queries)

    buyers = KnownBuyers(look_up)
    model, request = tiny_model(), SuggestionRequest(checkout_id="k")
    with intake_of(store, tmp_path, deadline=0.2) as intake:
        store.gate.clear()

        async def call() -> tuple[KnownBuyer, str]:
            budget = intake.budget()
            late = await buyers.of(model, request, budget)
            assert budget.is_spent
            # The question took all of the time: nothing is left for the fact.
            return late, await intake.record(decision(), budget)

        late, tracking = run(call)
        assert (late.dismissed_item_ids, tracking) == ((), "deferred")
        assert intake.outlook(database_there=True) == "deferred"
        store.gate.set()
        eventually(lambda: intake.outlook(database_there=True) == "recorded")
    buyers.close()
    assert store.recorded == {"d-1": row(decision())}


def test_a_database_that_was_away_at_the_start_is_found_without_a_call(tmp_path: Path) -> None:
    store = FakeStore()
    store.away = True
    reported: list[str] = []
    intake = Intake(
        store,  # type: ignore[arg-type]
        Spool(tmp_path, 1_000_000),
        Metrics(),
        deadlines=Deadlines(database=WAIT_SECONDS, spool=WAIT_SECONDS, events=WAIT_SECONDS),
        mended=lambda: reported.append("mended"),
    )
    intake.start(available=False)
    assert run(lambda: intake.record(decision())) == "deferred"
    assert intake.outlook(database_there=False) == "deferred"
    store.away = False
    eventually(lambda: intake.available)
    eventually(lambda: bool(reported))
    intake.close()
    assert store.recorded == {"d-1": row(decision())}


def test_settling_brings_everything_to_the_database_or_says_that_it_could_not(
    tmp_path: Path,
) -> None:
    store = FakeStore()
    with intake_of(store, tmp_path, deadline=0.3) as intake:

        def settled() -> bool:
            run(intake.settle)
            return True

        eventually(settled, ignoring=(StorageUnavailable,))
        assert intake.available
        store.away = True
        assert run(lambda: intake.record(decision())) == "deferred"
        with pytest.raises(StorageUnavailable, match="in the spool"):
            run(intake.settle)
        store.away = False
        eventually(lambda: intake.available)
        eventually(settled, ignoring=(StorageUnavailable,))
        assert store.recorded == {"d-1": row(decision())}


def test_without_database_and_spool_tracking_is_off(tmp_path: Path) -> None:
    store = FakeStore()
    store.away = True
    with intake_of(store, tmp_path, limit=0) as intake:
        assert run(lambda: intake.record(decision())) == "off"
        assert intake.outlook(database_there=True) == "off"


def test_what_a_former_process_left_is_replayed_at_the_start(tmp_path: Path) -> None:
    spool = Spool(tmp_path, 1_000_000)
    spool.append([pack(decision(1)), pack(decision(2)), b"not a fact"])
    spool.close()
    store = FakeStore()
    with intake_of(store, tmp_path):
        eventually(lambda: len(store.recorded) == 2)
    assert [path.suffix for path in tmp_path.iterdir()] == [".unreadable"]


def test_closing_spools_what_the_database_does_not_take(tmp_path: Path) -> None:
    store = FakeStore()
    store.away = True
    with intake_of(store, tmp_path) as intake:
        assert run(lambda: intake.record(decision())) == "deferred"
    found: list[bytes] = []
    assert Spool(tmp_path, 1_000_000).replay(found.extend) == 1
    assert json.loads(found[0])["hashed"] == json.loads(row(decision()).body)


def test_the_spool_names_nobody_and_old_files_are_replayed_to_the_same_facts(
    tmp_path: Path,
) -> None:
    store = FakeStore()
    store.away = True
    with intake_of(store, tmp_path) as intake:
        assert run(lambda: intake.record(decision(1))) == "deferred"
        [segment] = tmp_path.glob("*.spool")
        spooled = segment.read_bytes()
        assert PSEUDONYMS.of("customer", "c-1").encode() in spooled
        assert b'"c-1"' not in spooled
        assert b'"s-1"' not in spooled
    old = Spool(tmp_path, 1_000_000)
    # An id in the form of a pseudonym is hashed where a file of before holds it.
    alike = replace(decision(3), customer_id=PSEUDONYMS.of("customer", "c-1"))
    old.append([pack(decision(2)), pack(alike)])
    old.close()
    store.away = False
    with intake_of(store, tmp_path):
        eventually(lambda: len(store.recorded) == 3)
    for number in (1, 2):
        assert store.recorded[f"d-{number}"] == row(decision(number))
    assert store.recorded["d-3"] == row(alike)
    assert store.recorded["d-3"].customer_id != alike.customer_id


def test_events_come_back_with_their_own_counts(tmp_path: Path) -> None:
    store = FakeStore()
    with intake_of(store, tmp_path) as intake:
        store.gate.clear()

        async def calls() -> list[AppendResult]:
            conflicting = replace(event(2), offer_id="another")
            batches = ([event(1), event(2)], [event(1), event(3)], [conflicting, event(4)])
            tasks = [asyncio.create_task(intake.record_events(batch)) for batch in batches]
            await eventually_async(lambda: store.n_begun == 1)
            store.gate.set()
            return list(await asyncio.gather(*tasks))

        first, second, third = run(calls)
    assert first == AppendResult(2, 0)
    assert second == AppendResult(1, 1, (), (0,))
    assert third == AppendResult(1, 0, (Rejection(0, "conflict", "another body"),))


def test_events_are_refused_while_the_database_is_away(tmp_path: Path) -> None:
    store = FakeStore()
    store.away = True
    with intake_of(store, tmp_path) as intake, pytest.raises(StorageUnavailable):
        run(lambda: intake.record_events([event(1)]))
    assert list(tmp_path.iterdir()) == []


def test_events_are_refused_when_the_database_is_too_slow(tmp_path: Path) -> None:
    store = FakeStore()
    with intake_of(store, tmp_path, deadline=0.05) as intake:
        store.gate.clear()
        with pytest.raises(StorageUnavailable, match="in time"):
            run(lambda: intake.record_events([event(1)]))


def test_packed_facts_come_back_whole() -> None:
    for fact in (decision(), event(1), replace(decision(), offers=(), currency=None, lines=())):
        assert unpack(pack(fact)) == fact


@pytest.mark.parametrize("record", [b"", b"{", b"[]", b'{"type": "decision"}', b"\xff"])
def test_other_bytes_are_no_facts(record: bytes) -> None:
    with pytest.raises(FactRejected):
        unpack(record)


def test_a_damaged_explanation_is_no_fact() -> None:
    record = pack(decision()).replace(b'"n_joint"', b'"n_oint"')
    with pytest.raises(FactRejected, match=r"offers\[0\]\.evidence\.n_joint is required"):
        unpack(record)
