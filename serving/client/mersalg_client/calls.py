"""Calls of the HTTP API: a request, how its answer is read, and when it is sent again."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from typing import Any, Generic, TypeVar, cast

import httpx

from mersalg_client.errors import Refused, ServiceError, Unreachable

_RETRIED = frozenset({429, 500, 502, 503, 504})
_FIRST_WAIT = 0.2
"""Seconds before the second attempt; each further wait is twice as long."""
_LONGEST_WAIT = 10.0
"""Seconds between two attempts, also where the service asks for more."""
_SLOW_CALLS = 60.0
"""Timeout in seconds of calls that no checkout waits for."""

T = TypeVar("T")


@dataclass(frozen=True)
class Call(Generic[T]):
    """One request, and how its answer is read."""

    method: str
    path: str
    body: object = None
    _: KW_ONLY
    content: bytes | None = None
    headers: Mapping[str, str] | None = None
    query: Mapping[str, Any] | None = None
    timeout: float | None = _SLOW_CALLS
    """Seconds; None for the client's own."""
    attempts: int = 1
    as_text: bool = False

    def request(self) -> dict[str, Any]:
        """Return the keyword arguments of httpx's `request`."""
        arguments: dict[str, Any] = {"method": self.method, "url": self.path, "json": self.body}
        arguments |= {"content": self.content, "headers": self.headers, "params": self.query}
        return arguments if self.timeout is None else {**arguments, "timeout": self.timeout}

    def answer(self, response: httpx.Response) -> T:
        """Return what the service answered.

        Raises
        ------
        Refused
            It answered with an error.
        Unreachable
            Another server answered.
        """
        if not response.is_success:
            raise _refusal(response)
        if self.as_text:
            return cast(T, response.text)
        try:
            answer: Any = response.json()
        except ValueError:
            answer = None
        readable = isinstance(answer, dict)
        if readable and self.path == "/v1/suggestions":  # A checkout reads its offers unchecked.
            readable = isinstance(answer.get("offers"), list)
        if not readable:
            raise Unreachable(f"{self.method} {self.path}: not an answer of the service")
        return cast(T, answer)

    def wait_after(self, error: httpx.HTTPError | ServiceError, attempt: int) -> float:
        """Return the seconds to wait before the next attempt.

        Raises
        ------
        ServiceError
            `error`, where no further attempt is made.
        """
        if isinstance(error, httpx.HTTPError):
            raised: ServiceError = Unreachable(f"{self.method} {self.path}: {error!r}")
            raised.__cause__ = error
        else:
            raised = error
        refusal = raised if isinstance(raised, Refused) else None
        if attempt >= self.attempts or (refusal and refusal.status not in _RETRIED):
            raise raised
        # Many shops that lost their service at once must not come back at once.
        jitter = random.uniform(0.5, 1.5)  # noqa: S311 - not a secret
        wait = _FIRST_WAIT * 2 ** (attempt - 1) * jitter
        return min(wait + (refusal.retry_after if refusal else 0.0), _LONGEST_WAIT)


def _refusal(response: httpx.Response) -> Refused:
    wait = response.headers.get("Retry-After", "")
    # A date is not read: it would need the service's clock.
    seconds = float(wait) if wait.isascii() and wait.isdigit() else 0.0
    try:
        error = response.json()["error"]
        code, message, details = error["code"], error["message"], error["details"]
    except (ValueError, KeyError, TypeError):
        # The answer is not from the service but from a proxy before it.
        code, message, details = "unknown", response.text[:200], None
    return Refused(response.status_code, code, message, details, retry_after=seconds)
