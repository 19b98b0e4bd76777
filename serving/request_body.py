"""Reading request bodies: bounded while they arrive, and JSON or a clear refusal."""

from __future__ import annotations

import asyncio

import orjson
from fastapi import Request

from serving import errors
from serving.settings import ServeSettings

_BODY_SECONDS = 20
_MOST_WAITING = 32
"""Bodies of the largest size, of which parts may wait for the rest, in one process."""


class _PartialBodies:
    """Bytes of all bodies that have come in part: many slow callers must not take all memory."""

    def __init__(self) -> None:
        self.held = 0

    def add(self, size: int, most: int) -> None:
        if self.held + size > most:
            raise errors.ApiError(
                429,
                "too_many_requests",
                "too many bodies are only half here",
                headers={"Retry-After": str(errors.RETRY_AFTER_SECONDS)},
            )
        self.held += size


_partial_bodies = _PartialBodies()


async def read_body(request: Request) -> bytes:
    """The whole body.

    Raises:
        ApiError: 413 as soon as it grows over the limit, announced or not; 415 if compressed; 408
            where the caller takes its time, and our memory; 429 where too many callers do.
    """
    settings: ServeSettings = request.app.state.settings
    limit = settings.body_limit_bytes
    headers = request.headers
    if headers.get("content-encoding", "identity") != "identity":
        raise errors.ApiError(415, "encoding_unknown", "send the body uncompressed")
    announced = headers.get("content-length", "")
    if announced.isdecimal() and int(announced[:20]) > limit:
        raise _too_large(limit)
    try:
        async with asyncio.timeout(_BODY_SECONDS):
            return await _received(request, limit)
    except TimeoutError as error:
        raise errors.ApiError(
            408, "body_too_slow", f"the body was not there within {_BODY_SECONDS} seconds"
        ) from error


async def _received(request: Request, limit: int) -> bytes:
    parts: list[bytes] = []
    size = counted = 0
    try:
        while True:  # as `request.stream()` does, without its generator
            message = await request.receive()
            if message["type"] == "http.disconnect":
                # Nobody reads the answer; it is a caller's fault all the same, and none of ours.
                raise errors.ApiError(400, "bad_request", "the body ended early")
            part: bytes = message.get("body", b"")
            size += len(part)
            if size > limit:
                raise _too_large(limit)
            parts.append(part)
            if not message.get("more_body", False):
                return parts[0] if len(parts) == 1 else b"".join(parts)
            _partial_bodies.add(len(part), _MOST_WAITING * limit)
            counted += len(part)
    finally:
        _partial_bodies.held -= counted


def _too_large(limit: int) -> errors.ApiError:
    return errors.ApiError(
        413,
        "body_too_large",
        f"the body is over {limit} bytes",
        details={"limit_bytes": limit},
    )


async def read_json(request: Request) -> object:
    """The body as JSON; raises ApiError 422 where it is none (NaN and deep nesting included)."""
    return parse_json(await read_body(request))


def parse_json(body: bytes) -> object:
    """Raises ApiError 422 where it is none (NaN and deep nesting included)."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise errors.ApiError(422, "invalid", f"the body is not JSON: {error}") from error
