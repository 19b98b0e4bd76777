"""Segments, stores and placements of suggestion calls; beyond a maximum they are "other"."""

from __future__ import annotations

import time
from collections import OrderedDict

from mersalg.serving.schemas import SuggestionRequest

OTHER = "other"
"""Replaces every further one."""

_MOST_OF_SERVERS = 10_000
_DAY_SECONDS = 86_400.0


class Labels:
    """Keep the words that strangers may send few: reports have a group for each.

    What calls with server keys say is taken, and known for a while. Of other words, pages may add
    `most` a field and day; the rest become `other`.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._of_servers: OrderedDict[tuple[str, str], None] = OrderedDict()
        self._of_pages: dict[str, set[str]] = {}
        self._since = time.monotonic()

    def bound(self, request: SuggestionRequest, *, by_server: bool) -> None:
        """Replace in a request what is one too many."""
        for field in ("placement", "store_id", "segment"):
            label: str | None = getattr(request, field)
            if label is not None and not self._takes(field, label, by_server=by_server):
                setattr(request, field, OTHER)

    def _takes(self, field: str, label: str, *, by_server: bool) -> bool:
        if by_server:
            self._of_servers[field, label] = None
            self._of_servers.move_to_end((field, label))
            if len(self._of_servers) > _MOST_OF_SERVERS:
                self._of_servers.popitem(last=False)
            return True
        if time.monotonic() - self._since >= _DAY_SECONDS:
            self._of_pages, self._since = {}, time.monotonic()
        pages = self._of_pages.setdefault(field, set())
        if label not in pages and (field, label) not in self._of_servers:
            if len(pages) >= self._most:
                return False
            pages.add(label)
        return True
