"""Which tests run in the same process when they run in several, and which of them first."""

from __future__ import annotations

import pytest

_LONG = ("spark", "demo", "thorough", "browser", "realdata", "postgres")
"""Markers of tests that take long, the longest first."""


def share_out(items: list[pytest.Item]) -> None:
    """Group the tests by file, so that what a file sets up is set up once, and sort the groups.

    All tests on Spark are one group, since to start Spark takes as long as most of them. Groups
    that take long come first, so that no process is left with one at the end.
    """
    rank: dict[str, int] = {}
    for item in items:
        marked = item.get_closest_marker("xdist_group")
        group = str(marked.args[0]) if marked else item.nodeid.partition("::")[0]
        if not marked:
            item.add_marker(pytest.mark.xdist_group(group))
        own = next((n for n, name in enumerate(_LONG) if item.get_closest_marker(name)), len(_LONG))
        rank[group] = min(own, rank.get(group, own))
    items.sort(key=lambda item: rank[_group(item)])


def _group(item: pytest.Item) -> str:
    marker = item.get_closest_marker("xdist_group")
    assert marker is not None
    return str(marker.args[0])
