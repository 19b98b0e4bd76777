"""What a call of the service may end in.

ServiceError
├── Refused       the service answered, with an error
└── Unreachable   it did not answer in time, or not at all
"""

from __future__ import annotations


class ServiceError(Exception):
    """Whatever went wrong between the shop and the service."""


class Refused(ServiceError):
    """The service's own words: `code` is stable and fit for machines, `message` for people."""

    def __init__(self, status: int, code: str, message: str, details: object = None) -> None:
        super().__init__(f"{status} {code}: {message}")
        self.status, self.code, self.message, self.details = status, code, message, details


class Unreachable(ServiceError):
    """The call may have arrived or not; events may be sent again, they count once."""
