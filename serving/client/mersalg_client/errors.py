"""Errors of calls.

ServiceError
├── Refused       the service answered with an error
└── Unreachable   no answer of the service arrived in time
"""

from __future__ import annotations


class ServiceError(Exception):
    """A call failed."""


class Refused(ServiceError):
    """The service answered with an error.

    Attributes
    ----------
    status : int
        HTTP status.
    code : str
        Stable code of the error, for programs; "unknown" where a proxy answered.
    message : str
        Sentence for people.
    details : object
        More about the error, by `code`.
    retry_after : float
        Seconds that the service asks to wait; 0 where it does not say.
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
    """No answer of the service arrived: the call may have reached it or not.

    Events may be sent again; they count once.
    """
