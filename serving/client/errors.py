"""What a call of the service may end in.

ServiceError
├── Refused       the service answered, with an error
└── Unreachable   it did not answer in time, or not at all
"""

from __future__ import annotations


class ServiceError(Exception):
    """Whatever went wrong between the shop and the service."""


class Refused(ServiceError):
    """The service's own words: `code` is stable and fit for machines, `message` for people.

    `retry_after` is how many seconds it asks to be left alone; 0 where it does not say.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        details: object = None,
        *,
        retry_after: float = 0.0,
    ) -> None:
        super().__init__(f"{status} {code}: {message}")
        self.status, self.code, self.message, self.details = status, code, message, details
        self.retry_after = retry_after


class Unreachable(ServiceError):
    """The call may have arrived or not; events may be sent again, they count once."""
