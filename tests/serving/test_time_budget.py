"""Waiting only so long."""

from __future__ import annotations

import asyncio

import uvloop

from mersalg.serving.time_budget import TimeBudget, wait_within
from tests.support.waiting import WAIT_SECONDS


def test_a_wait_ends_with_its_future_or_its_deadline() -> None:
    async def run() -> None:
        loop = asyncio.get_running_loop()
        early, late, soon, failed = (loop.create_future() for _ in range(4))
        loop.call_later(0.01, early.set_result, 1)
        loop.call_later(0.01, failed.set_exception, ValueError("of its own"))
        ended: list[asyncio.Future[int]] = []
        for future in (early, late, soon, failed):
            future.add_done_callback(ended.append)
        waits = [(early, WAIT_SECONDS), (late, 0.15), (soon, 0.05), (failed, WAIT_SECONDS)]
        found = await asyncio.gather(*(wait_within(*wait) for wait in waits))
        assert [done for done, _ in found] == [True, False, False, True]
        assert found[1][1] >= 0.15
        assert found[2][1] >= 0.05
        assert ended.index(soon) < ended.index(late)  # set later, and due earlier
        assert early.result() == 1
        assert isinstance(failed.exception(), ValueError)
        assert isinstance(late.exception(), TimeoutError)
        assert isinstance(soon.exception(), TimeoutError)

    uvloop.run(run())


def test_a_wait_whose_deadline_is_over_ends_before_later_ones() -> None:
    async def run() -> None:
        loop = asyncio.get_running_loop()
        waits = [(loop.create_future(), seconds) for seconds in (0.02, 0.05, -1.0, 0.0)]
        ended: list[asyncio.Future[int]] = []
        for future, _ in waits:
            future.add_done_callback(ended.append)
        found = await asyncio.gather(*(wait_within(*wait) for wait in waits))
        assert not any(done for done, _ in found)
        assert ended == [future for future, _ in sorted(waits, key=lambda wait: wait[1])]

    uvloop.run(run())


def test_waits_share_the_budget_of_their_call() -> None:
    async def run() -> None:
        loop = asyncio.get_running_loop()
        budget = TimeBudget(0.1)
        first, second = loop.create_future(), loop.create_future()
        loop.call_later(0.01, first.set_result, 1)
        assert await budget.wait_for(first)
        assert not budget.is_spent
        assert not await budget.wait_for(second)
        assert budget.is_spent

    uvloop.run(run())
