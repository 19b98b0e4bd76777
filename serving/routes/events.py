"""`POST /v1/events`: what became of the offers. It is answered once the facts are on disk."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec
import orjson
from fastapi import APIRouter, Request
from msgspec.structs import replace
from starlette.responses import Response

from mersalg.engine import clock
from mersalg.engine.decoding import convert_fact, decode_fact, people_in
from mersalg.engine.errors import FactRejected
from mersalg.engine.fact_json import event_of, names_nobody
from mersalg.engine.fact_schema import DecisionBody, OrderBody
from mersalg.engine.facts import Event
from mersalg.engine.storage.fact_rows import Rejection
from mersalg.engine.words import counted
from mersalg.serving import errors, logs
from mersalg.serving.request_body import ignored, largest_body, read_body
from mersalg.serving.routes.direct import DirectRoute
from mersalg.serving.security import Caller, admit, scope_of
from mersalg.serving.service import Service, service_of

_OF_SERVERS = (3 * 366 * clock.MICROS_PER_DAY, clock.MICROS_PER_DAY)
_OF_PAGES = (2 * clock.MICROS_PER_DAY, 5 * 60_000_000)
"""Microseconds before and after its arrival that an event may be dated: clocks differ."""

_SELDOM = frozenset({"warnings", "ignored", "error"})
"""Fields of an answer that are left out where they say nothing."""

router = APIRouter(tags=["events"], route_class=DirectRoute)


@dataclass(frozen=True)
class EventsAnswer:
    """Counts whose sum, with the number of `rejected`, is the number of events sent."""

    recorded: int
    duplicates: int
    rejected: list[Rejection]
    warnings: list[str] = field(default_factory=list[str])
    """Left out where there are none."""
    ignored: str | None = None
    """The topic of a webhook that is no sale or return, or is a test; else left out."""
    error: errors.ErrorBody | None = None
    """Where every event was rejected; else left out."""


@router.post("/v1/events", operation_id="record_events", response_model=EventsAnswer)
async def record_events(request: Request) -> Response:
    """Record events; send again what was not answered, it is counted once by its `event_id`.

    Each event is taken or rejected by itself (`invalid`, `conflict`, `forbidden`, `out_of_bounds`);
    the status is 422 where every event was rejected, with `error` beside the usual answer. Lines of
    an order that sell no item are left out and named in `warnings`, and so are fields that are not
    known.
    `purchase`, `refund` and `cancel` need a server key. Events of a storefront key that are dated
    more than two days ago or five minutes ahead get their time of arrival; with a server key, more
    than three years ago or a day ahead is `out_of_bounds`.
    """
    caller = admit(request, "storefront")
    service = service_of(request)
    body = await read_body(request, largest_body(request, caller))
    events = entries_of(body, _Events, service.settings.max_events)
    taken = await take(service, caller, events)
    return answer_of(taken)


def answer_of(taken: EventsAnswer, *, retries: bool = True) -> Response:
    """Return what the caller is answered.

    The status is 422 where every event was rejected, unless the caller ends its subscription after
    answers that no retry mends (not `retries`).
    """
    fields = {name: value for name, value in vars(taken).items() if value or name not in _SELDOM}
    status = 200
    if taken.rejected and not taken.recorded and not taken.duplicates:
        first, others = taken.rejected[0], len(taken.rejected) - 1
        message = f"event {first.index}: {first.message}{f' (and {others} more)' * bool(others)}"
        fields["error"] = errors.ErrorBody("rejected", message, [*taken.rejected])
        status = 422 if retries else 200
    return Response(orjson.dumps(fields), status, media_type="application/json")


class _Events(msgspec.Struct):
    """The body of a call; each event is decoded on its own, after their number is checked."""

    events: list[msgspec.Raw]


async def take(
    service: Service, caller: Caller, events: Sequence[msgspec.Raw | dict[str, object]]
) -> EventsAnswer:
    """Record the events that `caller` may send; each event is judged alone."""
    logs.redact(lambda: people_in(events))
    model = service.live.model
    consent_required = model is not None and model.settings.tracking.consent == "required"
    is_server, now = caller.may("server"), clock.now()
    facts: list[Event] = []
    indexes: list[int] = []
    rejected: list[Rejection] = []
    warnings: Counter[str] = Counter()
    n_left_out, n_nobody, n_unknown, unknown, names = 0, 0, 0, set[str](), set[str]()
    for index, event in enumerate(events):
        try:
            if isinstance(event, msgspec.Raw):
                body = decode_fact(event, names)
                if names:
                    n_unknown += 1
                    unknown |= names
                    names.clear()
            else:
                body = convert_fact(event)
            if isinstance(body, DecisionBody):
                raise FactRejected("forbidden", "decisions come from suggestion calls or an import")
            if not is_server and isinstance(body, OrderBody):
                kind = body.__struct_config__.tag
                raise FactRejected("forbidden", f"{kind} needs a key of scope server")
            token, customer_id = body.checkout_token, body.customer_id
            body.scope, problem = scope_of(
                service.settings, caller, token, body.checkout_id, customer_id
            )
            if problem:
                warnings[problem] += 1
            if isinstance(event, msgspec.Raw):
                body.stated_at = None
            if consent_required and body.consent is None:
                body.consent = False
            fact = event_of(body)
            if isinstance(body, OrderBody):
                n_left_out += len(body.items or ()) - len(fact.items)
            n_nobody += names_nobody(body, fact)
            facts.append(_dated(fact, now, is_server=is_server))
        except FactRejected as error:
            rejected.append(Rejection(index, error.reason, error.message))
            continue
        indexes.append(index)
    service.metrics.events.labels("rejected").inc(len(rejected))
    service.metrics.unknown_fields.inc(n_unknown)
    result = await service.intake.record_events(facts)
    # By the ids the shop knows, not by the pseudonyms that are stored.
    service.buyers.forget_purchases(
        [e.customer_id for e in facts if e.type == "purchase" and e.customer_id]
    )
    if any(event.type == "dismiss_promotion" for event in facts):
        service.buyers.note_dismissal()
    rejected += [Rejection(indexes[one.index], one.code, one.message) for one in result.rejected]
    rejected.sort(key=lambda one: one.index)
    said = ignored(unknown)
    said += [
        f"checkout_token of {counted(n, 'event')} {problem}" for problem, n in warnings.items()
    ]
    if n_left_out:
        said.append(f"left out {counted(n_left_out, 'line')} of orders that sell no item")
    if n_nobody:
        said.append(
            f"customer_id of {counted(n_nobody, 'event')} is a word for no customer and was ignored"
        )
    return EventsAnswer(result.recorded, result.duplicates, rejected, said)


def _dated(event: Event, now: int, *, is_server: bool) -> Event:
    """Return an event of which the instant is possible: a page's wrong one is that of arrival.

    Raises FactRejected: reason `out_of_bounds`: a server states an instant that is too far from
    now.
    """
    back, ahead = _OF_SERVERS if is_server else _OF_PAGES
    if -back <= event.occurred_at - now <= ahead:
        return event
    if not is_server:
        return replace(event, occurred_at=now, stated_at=event.occurred_at)
    raise FactRejected(
        "out_of_bounds",
        "occurred_at must be at most three years ago and a day ahead;"
        " `mersalg events import` takes any",
    )


def entries_of(body: bytes, kind: type[msgspec.Struct], maximum: int) -> list[msgspec.Raw]:
    """Return the entries of the one list that a body holds; raise ApiError 422 where it has none.

    That list, of `msgspec.Raw`, is the one field of `kind`.
    """
    [name] = kind.__struct_fields__
    try:
        body.decode()
        entries: list[msgspec.Raw] = getattr(msgspec.json.decode(body, type=kind), name)
    except msgspec.ValidationError as error:
        problem = f'the body must be {{"{name}": [...]}}'
        raise errors.ApiError(422, "invalid", problem) from error
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise errors.ApiError(422, "invalid", f"the body is not JSON: {error}") from error
    if len(entries) > maximum:
        problem = f"send at most {maximum} {name} a call"
        raise errors.ApiError(422, f"too_many_{name}", problem, details={"limit": maximum})
    return entries
