"""Group commit: everything is written once, in order, and everybody gets their own answer."""

from __future__ import annotations

import asyncio
import logging
import random
import threading
from collections.abc import Sequence

import pytest
import uvloop

from mersalg.serving.group_commit import GroupCommit, QueueFull, TimeBudget, wait_within
from tests.support.waiting import WAIT_SECONDS, eventually_async


class Disk:
    """Notes the batches it is given; waits while the gate is shut."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.begun = threading.Event()
        self.gate = threading.Event()
        self.gate.set()

    def commit(self, jobs: Sequence[int]) -> list[int]:
        self.begun.set()
        assert self.gate.wait(WAIT_SECONDS)
        if any(job < 0 for job in jobs):
            raise ValueError("a poisoned job")
        self.batches.append(list(jobs))
        return [job * 10 for job in jobs]


def test_what_waits_shares_one_write() -> None:
    disk = Disk()
    disk.gate.clear()
    group = GroupCommit("test", disk.commit)
    group.start()

    async def run() -> list[int]:
        futures = [group.submit(number) for number in range(100)]
        disk.gate.set()
        return list(await asyncio.gather(*futures))

    assert asyncio.run(run()) == [number * 10 for number in range(100)]
    group.close()
    assert [job for batch in disk.batches for job in batch] == list(range(100))
    assert len(disk.batches) <= 2  # the first may have gone alone


def test_batches_are_bounded_by_weight() -> None:
    disk = Disk()
    disk.gate.clear()
    group = GroupCommit("test", disk.commit, weight=lambda job: job, maximum=10)

    async def run() -> None:
        futures = [group.submit(number) for number in (4, 4, 4, 50, 1, 1)]
        group.start()
        disk.gate.set()
        await asyncio.gather(*futures)

    asyncio.run(run())
    group.close()
    assert disk.batches == [[4, 4, 4], [50], [1, 1]]


def test_one_bad_job_does_not_fail_its_neighbours(caplog: pytest.LogCaptureFixture) -> None:
    disk = Disk()
    group = GroupCommit("test", disk.commit)

    async def run() -> list[int | BaseException]:
        futures = [group.submit(number) for number in (1, -1, 2)]
        group.start()
        return list(await asyncio.gather(*futures, return_exceptions=True))

    with caplog.at_level(logging.ERROR):
        first, second, third = asyncio.run(run())
    group.close()
    assert (first, third) == (10, 20)
    assert isinstance(second, ValueError)
    assert "poisoned" in caplog.text


def test_a_long_queue_refuses() -> None:
    group = GroupCommit("test", Disk().commit, backlog=2)

    async def run() -> None:
        futures = [group.submit(1), group.submit(2)]
        with pytest.raises(QueueFull):
            group.submit(3)
        group.start()
        await asyncio.gather(*futures)

    asyncio.run(run())
    group.close()


def test_closing_writes_what_waits_and_then_refuses() -> None:
    disk = Disk()
    disk.gate.clear()
    group = GroupCommit("test", disk.commit)
    group.start()

    async def run() -> None:
        futures = [group.submit(number) for number in range(5)]
        disk.gate.set()
        await asyncio.to_thread(group.close)
        assert await asyncio.gather(*futures) == [0, 10, 20, 30, 40]
        with pytest.raises(QueueFull):
            group.submit(6)

    asyncio.run(run())


def test_callers_that_gave_up_do_no_harm(caplog: pytest.LogCaptureFixture) -> None:
    disk = Disk()
    disk.gate.clear()
    group = GroupCommit("test", disk.commit)
    group.start()

    async def run() -> None:
        future = group.submit(7)
        done, _ = await asyncio.wait((future,), timeout=0.01)
        assert not done
        future.cancel()

    asyncio.run(run())  # the loop is gone before the write ends
    disk.gate.set()
    group.close()
    assert disk.batches == [[7]]
    assert "exception" not in caplog.text.lower()


def test_under_load_a_write_waits_for_as_many_as_the_last_time() -> None:
    disk = Disk()
    group = GroupCommit("test", disk.commit, linger=3.0)

    async def run() -> None:
        together = [group.submit(number) for number in (1, 2)]
        group.start()
        await asyncio.gather(*together)
        first = group.submit(3)
        await asyncio.sleep(0.05)
        assert not first.done()
        assert await asyncio.gather(first, group.submit(4)) == [30, 40]
        # A caller who is alone waits once, and the next one no more.
        assert await group.submit(5) == 50
        assert await asyncio.wait_for(group.submit(6), 2.9) == 60

    asyncio.run(run())
    group.close()
    assert disk.batches == [[1, 2], [3, 4], [5], [6]]


def test_a_heavy_batch_waits_for_no_other() -> None:
    disk = Disk()
    group = GroupCommit("test", disk.commit, weight=lambda job: job, linger=3_600)

    async def run() -> None:
        together = [group.submit(number) for number in (100, 200)]
        group.start()
        await asyncio.gather(*together)
        assert await asyncio.wait_for(group.submit(300), WAIT_SECONDS) == 3_000

    asyncio.run(run())
    group.close()
    assert disk.batches == [[100, 200], [300]]


def test_a_heavy_batch_is_written_beside_another_and_its_result_comes_after_it() -> None:
    written: list[int] = []
    begun, gate = threading.Event(), threading.Event()

    def commit(jobs: Sequence[int]) -> list[int]:
        if 100 in jobs:
            begun.set()
            assert gate.wait(WAIT_SECONDS)
        written.extend(jobs)
        return list(jobs)

    group = GroupCommit("test", commit, weight=lambda job: job, threads=2)
    group.start()

    async def run() -> None:
        first = group.submit(100)
        await eventually_async(begun.is_set)
        light = group.submit(1)
        heavy = group.submit(200)
        await eventually_async(lambda: written == [1, 200])
        for _ in range(5):
            await asyncio.sleep(0.01)
            assert not light.done()
            assert not heavy.done()
        gate.set()
        assert await asyncio.gather(first, light, heavy) == [100, 1, 200]

    asyncio.run(run())
    group.close()
    assert written == [1, 200, 100]


def test_light_jobs_wait_for_the_batch_that_is_written() -> None:
    disk = Disk()
    disk.gate.clear()
    group = GroupCommit("test", disk.commit, threads=2)
    group.start()

    async def run() -> None:
        futures = [group.submit(1)]
        await eventually_async(disk.begun.is_set)
        for job in (2, 3, 4):
            futures.append(group.submit(job))
            await asyncio.sleep(0.01)
        disk.gate.set()
        assert await asyncio.gather(*futures) == [10, 20, 30, 40]

    asyncio.run(run())
    group.close()
    assert disk.batches == [[1], [2, 3, 4]]


def test_a_question_that_hangs_does_not_hold_up_the_next() -> None:
    begun, gate = threading.Event(), threading.Event()

    def answer(jobs: Sequence[int]) -> list[int]:
        if 1 in jobs:
            begun.set()
            assert gate.wait(WAIT_SECONDS)
        return list(jobs)

    group = GroupCommit("test", answer, linger=0, threads=2, only_reads=True)
    group.start()

    async def run() -> None:
        hangs = group.submit(1)
        await eventually_async(begun.is_set)
        assert await group.submit(2) == 2
        gate.set()
        assert await hangs == 1

    asyncio.run(run())
    group.close()


@pytest.mark.parametrize(("threads", "linger"), [(2, 0.0), (1, 0.0005)])
def test_no_job_is_left_while_threads_sleep(threads: int, linger: float) -> None:
    """Jobs come at every moment between a look at the queue and a thread's sleep."""
    draw = random.Random(5)
    disk = Disk()
    group = GroupCommit("test", disk.commit, linger=linger, threads=threads)
    group.start()

    async def caller(number: int) -> None:
        for job in range(number, 1_000, 4):
            assert await asyncio.wait_for(group.submit(job), WAIT_SECONDS) == job * 10
            for _ in range(draw.randrange(3)):
                await asyncio.sleep(0)

    async def run() -> None:
        await asyncio.gather(*map(caller, range(4)))

    uvloop.run(run())
    group.close()
    assert sorted(job for batch in disk.batches for job in batch) == list(range(1_000))


def test_questions_nobody_waits_for_any_more_are_not_asked() -> None:
    disk = Disk()
    disk.gate.clear()
    group = GroupCommit("test", disk.commit, linger=0, only_reads=True)
    group.start()

    async def run() -> None:
        first = group.submit(1)
        await eventually_async(disk.begun.is_set)
        given_up, wanted = group.submit(2), group.submit(3)
        given_up.cancel()
        disk.gate.set()
        assert await asyncio.gather(first, wanted) == [10, 30]

    asyncio.run(run())
    group.close()
    assert disk.batches == [[1], [3]]


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
