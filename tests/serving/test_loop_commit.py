"""Writes begun and ended on the event loop, and the thread behind them."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Sequence

import pytest

from serving.group_commit import GroupCommit, QueueFull
from serving.loop_commit import _HANGS_SECONDS, LoopCommit
from tests.support.waiting import WAIT_SECONDS, eventually_async


class Write:
    """Ends when it is told to, by a real pipe."""

    def __init__(self, jobs: Sequence[int], fails: bool) -> None:
        self.jobs, self.fails = list(jobs), fails
        self._end, self._begin = os.pipe()

    def end(self) -> None:
        os.write(self._begin, b"x")

    def fileno(self) -> int:
        return self._end

    def finish(self) -> list[str] | None:
        os.read(self._end, 1)
        os.close(self._end)
        os.close(self._begin)
        return None if self.fails else [f"quick {job}" for job in self.jobs]


class Place:
    """What is written where; whether writes can be begun, and how they end."""

    def __init__(self) -> None:
        self.begun: list[Write] = []
        self.by_thread: list[list[int]] = []
        self.n_given_to_thread = 0
        self.can_begin, self.fails, self.ends_at_once = True, False, True
        self.gate = threading.Event()
        self.gate.set()

    def begin(self, jobs: Sequence[int]) -> Write | None:
        if 13 in jobs:
            raise ValueError("not a job")
        if not self.can_begin:
            return None
        write = Write(jobs, self.fails)
        self.begun.append(write)
        if self.ends_at_once:
            write.end()
        return write

    def commit(self, jobs: Sequence[int]) -> list[str]:
        self.n_given_to_thread += len(jobs)
        assert self.gate.wait(WAIT_SECONDS)
        if 13 in jobs:
            raise ValueError("not a job")
        self.by_thread.append(list(jobs))
        return [f"slow {job}" for job in jobs]

    def opened(self, *, only_reads: bool = False, linger: float = 0, **also: int) -> Committing:
        threads = 2 if only_reads else 1
        thread: GroupCommit[int, str] = GroupCommit(
            "test", self.commit, linger=0, threads=threads, only_awaited=only_reads
        )
        opened = LoopCommit(self.begin, thread, only_reads=only_reads, linger=linger, **also)
        opened.start()
        return opened


Committing = LoopCommit[int, str]


async def several_turns() -> None:
    """Let the loop do all that it can do by now."""
    for _ in range(10):
        await asyncio.sleep(0)


def run(make: Callable[[], object]) -> None:
    async def inside() -> None:
        await make()  # type: ignore[misc]

    asyncio.run(inside())


def test_what_waits_together_is_written_together_without_the_thread() -> None:
    place = Place()
    committing = place.opened()

    async def calls() -> None:
        first = [committing.submit(job) for job in (1, 2, 3)]
        assert await asyncio.gather(*first) == ["quick 1", "quick 2", "quick 3"]
        assert await committing.submit(4) == "quick 4"

    run(calls)
    committing.close(WAIT_SECONDS)
    assert [write.jobs for write in place.begun] == [[1, 2, 3], [4]]
    assert place.by_thread == []


def test_of_all_writes_one_is_on_its_way_and_batches_have_a_limit() -> None:
    place = Place()
    place.ends_at_once = False
    committing = place.opened(most=2)

    async def calls() -> None:
        futures = [committing.submit(job) for job in range(5)]
        await eventually_async(lambda: place.begun)
        assert [write.jobs for write in place.begun] == [[0, 1]]
        assert committing.waiting == 3
        place.begun[0].end()
        assert await futures[1] == "quick 1"
        await eventually_async(lambda: len(place.begun) == 2)
        place.begun[1].end()
        assert await futures[3] == "quick 3"
        await eventually_async(lambda: len(place.begun) == 3)
        place.begun[2].end()
        assert await futures[4] == "quick 4"

    run(calls)
    committing.close(WAIT_SECONDS)
    assert [write.jobs for write in place.begun] == [[0, 1], [2, 3], [4]]


@pytest.mark.parametrize("way", ["cannot begin", "fails"])
def test_the_thread_does_what_cannot_be_done_otherwise_in_order(way: str) -> None:
    place = Place()
    place.can_begin, place.fails = way != "cannot begin", way == "fails"
    committing = place.opened()

    async def calls() -> None:
        place.gate.clear()
        first = committing.submit(1)
        await eventually_async(lambda: place.n_given_to_thread == 1)
        place.can_begin, place.fails = True, False
        later = committing.submit(2)
        await several_turns()
        # What came later must not be told to be done before.
        assert not later.done()
        place.gate.set()
        assert await first == "slow 1"
        assert await later == "quick 2"

    run(calls)
    committing.close(WAIT_SECONDS)
    assert place.by_thread == [[1]]


def test_a_job_nobody_can_do_fails_alone() -> None:
    place = Place()
    committing = place.opened()

    async def calls() -> None:
        bad, good = committing.submit(13), committing.submit(1)
        assert await good == "slow 1"
        with pytest.raises(ValueError, match="not a job"):
            await bad
        assert await committing.submit(2) == "quick 2"

    run(calls)
    committing.close(WAIT_SECONDS)


def test_under_load_a_write_waits_for_as_many_as_the_last_time() -> None:
    place = Place()
    committing = place.opened(linger=10 * WAIT_SECONDS)

    async def calls() -> None:
        await asyncio.gather(*[committing.submit(job) for job in (1, 2)])
        first = committing.submit(3)
        await several_turns()
        assert not first.done()
        await asyncio.gather(first, committing.submit(4))

    run(calls)
    assert [write.jobs for write in place.begun] == [[1, 2], [3, 4]]
    committing.close(WAIT_SECONDS)


def test_a_write_that_is_alone_waits_once_and_then_no_more() -> None:
    place = Place()
    committing = place.opened(linger=0.2)

    async def calls() -> None:
        await asyncio.gather(*[committing.submit(job) for job in (1, 2)])
        assert await committing.submit(3) == "quick 3"
        later = committing.submit(4)
        await asyncio.sleep(0)
        assert [write.jobs for write in place.begun] == [[1, 2], [3], [4]]
        assert await later == "quick 4"

    run(calls)
    committing.close(WAIT_SECONDS)


def test_a_question_that_hangs_does_not_hold_up_the_next() -> None:
    place = Place()
    place.ends_at_once = False
    committing = place.opened(only_reads=True)

    async def calls() -> None:
        hangs = committing.submit(1)
        await eventually_async(lambda: place.begun)
        await asyncio.sleep(2 * _HANGS_SECONDS)  # until it counts as one that hangs
        assert await committing.submit(2) == "slow 2"
        place.begun[0].end()
        assert await hangs == "quick 1"

    run(calls)
    committing.close(WAIT_SECONDS)


def test_questions_nobody_waits_for_any_more_are_not_asked() -> None:
    place = Place()
    place.ends_at_once = False
    committing = place.opened(only_reads=True)

    async def calls() -> None:
        first = committing.submit(1)
        await asyncio.sleep(0)
        given_up, wanted = committing.submit(2), committing.submit(3)
        given_up.cancel()
        place.ends_at_once = True
        place.begun[0].end()
        assert await first == "quick 1"
        assert await wanted == "quick 3"

    run(calls)
    committing.close(WAIT_SECONDS)
    assert [write.jobs for write in place.begun] == [[1], [3]]


def test_closing_writes_what_waits_and_takes_no_more() -> None:
    place = Place()
    place.ends_at_once = False
    committing = place.opened()

    async def calls() -> None:
        futures = [committing.submit(1)]
        await eventually_async(lambda: place.begun)
        futures.append(committing.submit(2))
        threading.Timer(0.1, place.begun[0].end).start()
        place.ends_at_once = True
        await asyncio.to_thread(committing.close, WAIT_SECONDS)
        assert [future.result() for future in futures] == ["quick 1", "quick 2"]
        with pytest.raises(QueueFull):
            committing.submit(3)

    run(calls)


def test_what_an_ended_loop_left_behind_is_written_by_the_next_or_at_the_end() -> None:
    place = Place()
    place.ends_at_once = False
    committing = place.opened()

    async def leave(job: int) -> None:
        n_begun = len(place.begun)
        committing.submit(job)
        await eventually_async(lambda: len(place.begun) > n_begun)

    run(lambda: leave(1))
    place.begun[0].end()

    async def calls() -> None:
        place.ends_at_once = True
        assert await committing.submit(2) == "quick 2"
        place.ends_at_once = False

    run(calls)
    run(lambda: leave(3))
    place.begun[-1].end()
    committing.close(WAIT_SECONDS)
    assert [write.jobs for write in place.begun] == [[1], [2], [3]]
    assert committing.waiting == 0


def test_too_many_are_refused() -> None:
    place = Place()
    committing = place.opened(backlog=2)

    async def calls() -> None:
        futures = [committing.submit(job) for job in (1, 2)]
        with pytest.raises(QueueFull):
            committing.submit(3)
        await asyncio.gather(*futures)

    run(calls)
    committing.close(WAIT_SECONDS)
