"""Reading request bodies: bounded while they arrive, and what they should be or a clear refusal."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Collection, Iterator, Sequence
from functools import cache
from types import UnionType
from typing import Annotated, Any, TypeVar, Union, cast, get_args, get_origin

import msgspec
import orjson
from fastapi import Request
from msgspec import Struct

from mersalg.engine.decoding import exact_number, meant, problem_of, strictly, unknown_fields
from mersalg.engine.errors import FieldRejected, shown
from mersalg.serving import errors
from mersalg.serving.security import Caller
from mersalg.serving.settings import ServeSettings

Body = TypeVar("Body", bound=Struct)

_BODY_SECONDS = 20
_MAX_NAMED = 10
_LONGEST_PATH = 200
_MAX_DIGESTED = 16
"""Times the limit of bytes that are read to know by a signature who sent them."""
_MAX_WAITING = 32
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


async def read_body(
    request: Request, largest: int | None = None, digest: hmac.HMAC | None = None
) -> bytes:
    """Return the whole body, of at most `largest` bytes where that is less than the service takes.

    A `digest` takes every byte. A body over the limit is then read to its end, up to 16 times the
    limit, and not kept, so that its sender is known before it is refused.

    Raises ApiError: 413 as soon as it grows over the limit, announced or not; 415 if compressed;
    408 where the caller takes its time, and our memory; 429 where too many callers do.
    """
    settings: ServeSettings = request.app.state.settings
    limit = min(settings.body_limit_bytes, largest or settings.body_limit_bytes)
    headers = request.headers
    if headers.get("content-encoding", "identity") != "identity":
        raise errors.ApiError(415, "encoding_unknown", "send the body uncompressed")
    announced = headers.get("content-length", "")
    most = limit if digest is None else _MAX_DIGESTED * limit
    if announced.isdecimal() and int(announced[:20]) > most:
        raise _too_large(limit)
    try:
        async with asyncio.timeout(_BODY_SECONDS):
            return await _received(request, limit, digest)
    except TimeoutError as error:
        raise errors.ApiError(
            408, "body_too_slow", f"the body was not there within {_BODY_SECONDS} seconds"
        ) from error


async def _received(request: Request, limit: int, digest: hmac.HMAC | None) -> bytes:
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
            is_last = not message.get("more_body", False)
            if digest is not None:
                digest.update(part)
            if size > limit:
                if digest is None or is_last or size > _MAX_DIGESTED * limit:
                    raise _too_large(limit)
                parts.clear()
                continue
            parts.append(part)
            if is_last:
                return parts[0] if len(parts) == 1 else b"".join(parts)
            _partial_bodies.add(len(part), _MAX_WAITING * limit)
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


def largest_body(request: Request, caller: Caller) -> int | None:
    """Return the limit of bytes for a caller, None for that of the service."""
    settings: ServeSettings = request.app.state.settings
    return None if caller.may("server") else settings.storefront_body_bytes


def decode(body: bytes, kind: type[Body], unknown: list[str] | None = None) -> Body:
    """Return a body as a struct.

    `unknown` takes the fields that are not known, which are left out.

    Raises ApiError: 422 where it is no JSON (NaN and deep nesting included), or not of this kind,
    or has a field that is nearly written as a known one; every problem is named.
    """
    try:
        # The decoder skips fields it does not know, whatever bytes they hold.
        body.decode()
        try:
            return cast(Body, _decoder(strictly(kind)).decode(body))
        except msgspec.ValidationError:
            # It stops at the first problem.
            value = _any_decoder.decode(body)
        names = list(dict.fromkeys(unknown_fields(value, kind)))
        problems = [*_misspelt(names, kind), *_problems(value, kind, "")]
        if not problems:
            if unknown is not None:
                unknown += names
            return _decoder(kind).decode(body)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise errors.ApiError(422, "invalid", f"the body is not JSON: {error}") from error
    raise errors.invalid(problems)


def ignored(names: Collection[str]) -> list[str]:
    """Return the warning of an answer to a call with fields that are not known; none without."""
    more = f" and {len(names) - _MAX_NAMED} more" if len(names) > _MAX_NAMED else ""
    listed = ", ".join(shown(name) for name in sorted(names)[:_MAX_NAMED])
    return [f"fields that are not known were ignored: {listed}{more}"] if names else []


def _misspelt(names: Sequence[str], kind: type[Struct]) -> Iterator[errors.Problem]:
    for name in names:
        if (closest := meant(name, kind)) is not None:
            message = f"{shown(name.rpartition('.')[2])} is not known; did you mean {closest}?"
            yield errors.Problem(where=name[:_LONGEST_PATH], message=message)


@cache
def _decoder(kind: type[Body]) -> msgspec.json.Decoder[Body]:
    return msgspec.json.Decoder(kind, float_hook=exact_number)


_any_decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(float_hook=exact_number)


def _problems(value: Any, kind: Any, where: str) -> Iterator[errors.Problem]:
    """Yield every reason why a value is not of a kind."""
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        field, message = problem_of(error, where)
    else:
        return
    for choice in _choices(kind):
        if isinstance(choice, type) and issubclass(choice, Struct) and isinstance(value, dict):
            yield from _problems_of_fields(cast("dict[str, Any]", value), choice, where)
            return
        if get_origin(choice) is tuple and isinstance(value, list) and field:
            for index, entry in enumerate(cast("list[Any]", value)):
                yield from _problems(entry, get_args(choice)[0], f"{where}.{index}")
            return
    yield {"where": where, "message": message}


def _choices(kind: Any) -> Iterator[Any]:
    """Yield the types that an annotation allows."""
    if get_origin(kind) is Annotated:
        yield from _choices(get_args(kind)[0])
    elif get_origin(kind) in (Union, UnionType):
        for choice in get_args(kind):
            yield from _choices(choice)
    else:
        yield kind


def _problems_of_fields(
    value: dict[str, Any], struct: type[Struct], where: str
) -> Iterator[errors.Problem]:
    prefix = f"{where}." if where else ""
    fields = {field.encode_name: field for field in msgspec.structs.fields(struct)}
    # Every required field of a request is an id.
    acceptable = {name: "0" if each.required else each.default for name, each in fields.items()}
    rest = dict(value)
    for name, field in fields.items():
        if name in value:
            problems = list(_problems(value[name], field.type, prefix + name))
        else:
            problems = [{"where": prefix + name, "message": "is required"}] * field.required
        if problems:
            yield from problems
            rest[name] = acceptable[name]
    while True:
        # What is left is what the struct itself refuses, one field at a time.
        try:
            msgspec.convert(rest, struct)
        except msgspec.ValidationError as error:
            cause = error.__cause__
            assert isinstance(cause, FieldRejected)
            name, message = cause.field, cause.problem
            yield {"where": prefix + name, "message": message}
            rest[name] = acceptable[name]
        else:
            return


async def read_json(request: Request, largest: int | None = None) -> object:
    """Return the body, read as by `read_body`, as JSON; raise ApiError 422 where it is none."""
    return parse_json(await read_body(request, largest))


def parse_json(body: bytes) -> object:
    """Return JSON; raise ApiError 422 where it is none (NaN and deep nesting included)."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise errors.ApiError(422, "invalid", f"the body is not JSON: {error}") from error
