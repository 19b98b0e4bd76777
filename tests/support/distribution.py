"""Which tests run in the same process when they run in several, and which of them first."""

from __future__ import annotations

import pytest
from xdist.scheduler import LoadFileScheduling

_LONG = ("spark", "checker", "demo", "thorough", "browser", "realdata", "postgres")
"""Markers of tests that take long, the longest first."""


class ByFile(LoadFileScheduling):
    """Give the tests of a file to one process, so that what they set up is set up once.

    All files on Spark are one, since to start Spark takes as long as most of their tests. (The
    groups of `--dist loadgroup` do not work with pytest 9.2:
    https://github.com/pytest-dev/pytest-xdist/issues/1386.)
    """

    def _split_scope(self, nodeid: str) -> str:
        file = super()._split_scope(nodeid)
        return "spark" if "/test_spark_" in file else file


def longest_first(items: list[pytest.Item]) -> None:
    """Sort the files with tests that take long to the front.

    So no process is left with a long one at the end.
    """
    rank: dict[str, int] = {}
    for item in items:
        own = next((n for n, name in enumerate(_LONG) if item.get_closest_marker(name)), len(_LONG))
        file = _file(item)
        rank[file] = min(own, rank.get(file, own))
    items.sort(key=lambda item: rank[_file(item)])


def _file(item: pytest.Item) -> str:
    return item.nodeid.partition("::")[0]
