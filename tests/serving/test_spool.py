"""The spool: what was appended comes back once and whole, whatever happened to the file."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mersalg.serving.spool import Spool, SpoolFull, encode_record, read_records

LIMIT = 1_000_000


class Delivered:
    """Collects what a replay hands on; fails where told to."""

    def __init__(self, *, fail_after: int | None = None) -> None:
        self.records: list[bytes] = []
        self.fail_after = fail_after

    def __call__(self, records: Sequence[bytes]) -> None:
        if self.fail_after is not None and len(self.records) >= self.fail_after:
            raise ConnectionError
        self.records.extend(records)


def test_replay_gives_everything_back_in_order_and_empties(tmp_path: Path) -> None:
    spool = Spool(tmp_path, LIMIT)
    spool.append([b"one", b"two"])
    spool.append([b"three", b""])
    delivered = Delivered()
    assert spool.replay(delivered) == 4
    assert delivered.records == [b"one", b"two", b"three", b""]
    assert spool.replay(Delivered()) == 0
    assert spool.size() == 0
    assert list(tmp_path.iterdir()) == []


def test_a_spool_goes_on_after_a_replay(tmp_path: Path) -> None:
    spool = Spool(tmp_path, LIMIT)
    spool.append([b"before"])
    spool.replay(Delivered())
    spool.append([b"after"])
    delivered = Delivered()
    spool.replay(delivered)
    assert delivered.records == [b"after"]


def test_what_could_not_be_delivered_stays(tmp_path: Path) -> None:
    spool = Spool(tmp_path, LIMIT)
    spool.append([bytes([number]) for number in range(10)])
    with pytest.raises(ConnectionError):
        spool.replay(Delivered(fail_after=4), batch=4)
    delivered = Delivered()
    assert spool.replay(delivered, batch=3) == 10
    assert delivered.records == [bytes([number]) for number in range(10)]


def test_the_size_is_bounded(tmp_path: Path) -> None:
    spool = Spool(tmp_path, 100)
    spool.append([b"x" * 50])
    with pytest.raises(SpoolFull):
        spool.append([b"x" * 50])
    delivered = Delivered()
    spool.replay(delivered)
    assert delivered.records == [b"x" * 50]
    spool.append([b"y" * 50])  # room again


def test_a_limit_of_zero_is_off(tmp_path: Path) -> None:
    with pytest.raises(SpoolFull):
        Spool(tmp_path / "never", 0).append([b"x"])
    assert not (tmp_path / "never").exists()


def test_a_folder_that_cannot_be_written_is_full(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(SpoolFull):
        Spool(tmp_path / "file" / "spool", LIMIT).append([b"x"])


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """A disk that refuses to take more; other files of the process must not grow meanwhile."""
    usual = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, usual[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, usual)


def test_what_the_disk_takes_half_of_leaves_no_trace(tmp_path: Path) -> None:
    spool = Spool(tmp_path, LIMIT)
    spool.append([b"x" * 50])
    with files_of_at_most(100):
        for _ in range(3):
            with pytest.raises(SpoolFull, match="too large"):
                spool.append([b"y" * 200])
    spool.append([b"z"])
    delivered = Delivered()
    assert spool.replay(delivered) == 2
    assert sorted(delivered.records) == [b"x" * 50, b"z"]
    assert list(tmp_path.iterdir()) == []


def test_an_outage_does_not_cut_it_into_many_files(tmp_path: Path) -> None:
    spool = Spool(tmp_path, LIMIT)
    for number in range(9):
        spool.append([bytes([number])])
        with pytest.raises(ConnectionError):
            spool.replay(Delivered(fail_after=0))
    assert len(spool.segments()) <= 2
    delivered = Delivered()
    assert spool.replay(delivered) == 9
    assert sorted(delivered.records) == [bytes([number]) for number in range(9)]


def test_what_is_set_aside_twice_lies_there_once_and_can_be_forgotten(tmp_path: Path) -> None:
    spool = Spool(tmp_path, LIMIT)
    record = b'{"customer_id":"c-1"}'
    assert spool.set_aside(record, "conflict") == spool.set_aside(record, "conflict")
    spool.append([record])
    others = [
        spool.set_aside(alike, "conflict")
        for alike in (
            b'{"customer_id":"c-12"}',
            b'{"session_id":"c-1","store_id":"c-1"}',
            b'{"lines":[{"item_id":"c-1"}]}',
            json.dumps({"name": '"customer_id":"c-1"'}).encode(),
        )
    ]
    assert spool.forget(["c-1", "c-2"]) == 1
    assert sorted(tmp_path.glob("*.conflict")) == sorted(others), "they merely look alike"
    assert spool.replay(Delivered()) == 1  # what waits is no matter of this


def test_only_this_user_may_read_it(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool", LIMIT)
    spool.append([b"names a customer"])
    assert (tmp_path / "spool").stat().st_mode & 0o077 == 0
    assert all(path.stat().st_mode & 0o077 == 0 for path in spool.segments())


def test_a_torn_record_is_set_aside(tmp_path: Path) -> None:
    spool = Spool(tmp_path, LIMIT)
    spool.append([b"whole", b"torn in the middle"])
    (segment,) = spool.segments()
    os.truncate(segment, segment.stat().st_size - 5)
    delivered = Delivered()
    assert Spool(tmp_path, LIMIT).replay(delivered) == 0  # its owner still lives
    assert spool.replay(delivered) == 1
    assert delivered.records == [b"whole"]
    (aside,) = tmp_path.glob("*.damaged")
    assert aside.read_bytes().startswith(b"MSG1")


def test_segments_of_the_living_are_left_alone_and_those_of_the_dead_replayed(
    tmp_path: Path,
) -> None:
    code = (
        "import sys\nfrom pathlib import Path\nfrom mersalg.serving.spool import Spool\n"
        f"spool = Spool(Path({str(tmp_path)!r}), {LIMIT})\n"
        "spool.append([b'from another process'])\nprint('ready', flush=True)\nsys.stdin.read()"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    )
    assert other.stdin is not None
    assert other.stdout is not None
    try:
        assert other.stdout.readline() == b"ready\n"
        spool = Spool(tmp_path, LIMIT)
        assert spool.replay(Delivered()) == 0
    finally:
        other.kill()
        other.wait()
        other.stdin.close()
        other.stdout.close()
    delivered = Delivered()
    assert spool.replay(delivered) == 1
    assert delivered.records == [b"from another process"]


@given(
    payloads=st.lists(st.binary(max_size=40), max_size=8),
    cut=st.integers(min_value=0),
)
def test_a_file_cut_anywhere_gives_back_its_whole_records(payloads: list[bytes], cut: int) -> None:
    encoded = [encode_record(payload) for payload in payloads]
    data = b"".join(encoded)
    cut = cut % (len(data) + 1)
    whole, length = 0, 0
    for record in encoded:
        length += len(record)
        whole += length <= cut
    parts = list(read_records(data[:cut]))
    assert [part for part, is_record in parts if is_record] == payloads[:whole]
    assert sum(len(encode_record(part) if good else part) for part, good in parts) == cut


@given(
    payloads=st.lists(st.binary(min_size=1, max_size=40), min_size=1, max_size=8),
    damage=st.data(),
)
def test_a_damaged_record_costs_only_itself(payloads: list[bytes], damage: st.DataObject) -> None:
    encoded = [bytearray(encode_record(payload)) for payload in payloads]
    victim = damage.draw(st.integers(0, len(payloads) - 1))
    place = damage.draw(st.integers(0, len(encoded[victim]) - 1))
    encoded[victim][place] ^= damage.draw(st.integers(1, 255))
    found = [part for part, good in read_records(b"".join(encoded)) if good]
    rest = payloads[:victim] + payloads[victim + 1 :]
    # A payload may itself hold a record, which is then found inside the damaged one.
    assert [part for part in found if part in rest] == rest
