"""The arm a session was given first, so that logging in never changes it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence

from engine.facts import Arm
from serving.database_time import DatabaseTime
from serving.lookups import Lookups

_MOST_SESSIONS = 10_000


class SessionArms:
    """A small memory of this process, and the database behind it.

    Args:
        look_up: asks the database for the arms of several sessions; blocks.
    """

    def __init__(self, look_up: Callable[[Sequence[str]], Mapping[str, Arm]]) -> None:
        self._known: OrderedDict[str, Arm] = OrderedDict()

        def answer(sessions: Sequence[str]) -> list[Arm | None]:
            found = look_up(sessions)
            return [found.get(session) for session in sessions]

        self._lookups: Lookups[str, Arm | None] = Lookups("mersalg-sessions", answer)

    async def known(self, session_id: str | None, patience: DatabaseTime | None) -> Arm | None:
        """None where it is not remembered and not to be asked, or not answered in time."""
        if session_id is None:
            return None
        arm = self._known.get(session_id)
        if arm is not None:
            self._known.move_to_end(session_id)
            return arm
        if patience is None:
            return None
        return await patience.ask(self._lookups, session_id)

    def remember(self, session_id: str | None, arm: Arm) -> None:
        if session_id is None:
            return
        self._known.setdefault(session_id, arm)
        self._known.move_to_end(session_id)
        if len(self._known) > _MOST_SESSIONS:
            self._known.popitem(last=False)

    def close(self) -> None:
        self._lookups.close()
