"""One error shape for every answer: `{"error": {"code", "message", "details"}}`."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field

import orjson
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from mersalg.engine import errors

_log = logging.getLogger("mersalg.http")

RETRY_AFTER_SECONDS = 1
_LONGEST_MESSAGE = 1_000

# Most special first: the first class an error belongs to decides.
_STATUS_OF: tuple[tuple[type[errors.MersalgError], int], ...] = (
    (errors.ModelNotFound, 404),
    (errors.ModelError, 409),
    (errors.GateRefused, 409),
    (errors.StorageUnavailable, 503),
    (errors.StorageError, 500),
    (errors.MersalgError, 422),
)

_CODE_OF_STATUS = {
    400: "bad_request",
    404: "not_found",
    405: "method_not_allowed",
    422: "invalid",
}


Problem = dict[str, str]
"""`where` and `message` of something that is wrong with a request."""


class ApiError(Exception):
    """An answer other than success; `code` is stable and fit for machines."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        details: object = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.details: object = {} if details is None else details
        self.headers = dict(headers or {})


@dataclass(frozen=True)
class ErrorBody:
    """`code` is stable and fit for machines, `message` is for people."""

    code: str
    message: str
    details: dict[str, object] | list[object] = field(default_factory=dict[str, object])


@dataclass(frozen=True)
class ErrorAnswer:
    """The answer of every call that fails."""

    error: ErrorBody


def answer(problem: ApiError) -> Response:
    """Return one error as a response."""
    message = problem.message[:_LONGEST_MESSAGE]
    details: object = problem.details or {}
    error = {"code": problem.code, "message": message, "details": details}
    body = orjson.dumps({"error": error}, default=str)
    return Response(body, problem.status, problem.headers, media_type="application/json")


def invalid(details: list[Problem]) -> ApiError:
    """Return a 422 that names the first problem and lists them all."""
    first = details[0] if details else {"where": "", "message": "is malformed"}
    more = f" (and {len(details) - 1} more)" if len(details) > 1 else ""
    where = f"{first['where']}: " if first["where"] else ""
    return ApiError(422, "invalid", f"{where}{first['message']}{more}", details=details)


def api_error(error: Exception) -> ApiError:
    """Return what a caller hears of an `ApiError`, `MersalgError` or `RequestValidationError`."""
    if isinstance(error, ApiError):
        return error
    if isinstance(error, RequestValidationError):
        # Where and why of each problem, without repeating what was sent.
        return invalid(
            [
                {
                    "where": ".".join(map(str, problem["loc"])),
                    "message": (
                        "is not a parameter of this call"
                        if problem["type"] == "extra_forbidden"
                        else str(problem["msg"]).removeprefix("Value error, ")
                    ),
                }
                for problem in error.errors()
            ]
        )
    assert isinstance(error, errors.MersalgError)
    status = next(status for kind, status in _STATUS_OF if isinstance(error, kind))
    if status == 500:
        _log.error("%s: %s", error.code, error.message, exc_info=error)
    if isinstance(error, errors.StorageUnavailable):
        headers = {"Retry-After": str(RETRY_AFTER_SECONDS)}
        return ApiError(status, error.code, error.outward, details=error.details, headers=headers)
    return ApiError(status, error.code, error.message, details=error.details)


async def _known_error(_request: Request, error: Exception) -> Response:
    return answer(api_error(error))


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    code = _CODE_OF_STATUS.get(error.status_code, "error")
    headers = dict(error.headers or {})
    if error.status_code == 405:
        # Several operations may share a path; the error names the methods of the first alone.
        path = getattr(request.scope.get("route"), "path", "").replace(":path}", "}")
        operations = request.app.openapi()["paths"].get(path)
        if operations:
            headers["Allow"] = ", ".join(sorted(method.upper() for method in operations))
    return answer(ApiError(error.status_code, code, str(error.detail), headers=headers))


def install(app: FastAPI) -> None:
    """Have the application answer every error in the one shape."""
    for kind in (ApiError, errors.MersalgError, RequestValidationError):
        app.add_exception_handler(kind, _known_error)
    app.add_exception_handler(HTTPException, _http_error)
