"""The short way from a record to a fact ready to be written, for those that are as most are.

What `parse_fact`, `digest_and_pack` and `prepare` do together, without the objects between, at a
quarter of the price. Whatever is the least out of the ordinary is left to them, and so is telling
what is wrong with it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache, partial
from typing import Any, cast

import orjson

from engine import clock, money
from engine.events import ORDER_TYPES, PROMOTION_TYPES, record_digest
from engine.fields import LONGEST_ID
from engine.offers import KINDS
from engine.storage.batch import Prepared
from engine.storage.pseudonyms import Pseudonyms

LONG_NUMBER = re.compile(rb"[:,\[\s]-?[0-9][0-9.]{15}")
"""In a line: up to 15 digits a float says what was written."""

_Json = dict[str, Any]
_Named = Callable[[str, str], str]
"""The pseudonym of a `session` or `customer` id."""

_COMMON = frozenset(
    "type event_id occurred_at checkout_id session_id customer_id consent is_bot".split()
)
_PROMOTION = _COMMON | {"offer_id"}
_ORDER = _PROMOTION | {"transaction_id", "currency", "items"}
_DECISION = _COMMON.union(
    ("decision_id", "arm", "control_share", "model_version", "placement", "currency"),
    ("store_id", "segment", "lines", "offers"),
)
_ITEM = frozenset({"item_id", "quantity", "price", "discount", "offer_id"})
_LINE = frozenset({"item_id", "quantity", "unit_price", "discount"})
_OFFER = frozenset(
    ("offer_id", "kind", "item_id", "name", "family", "position", "unit_price", "replaces")
)
_REPLACES = frozenset({"item_id", "quantity", "price_difference"})
_MOST = 1_000  # entries of a list that is still ordinary; a position, too
_MOST_UNITS = 10**6


class _Unusual(Exception):
    """The long way is to be taken."""


def ordinary(raw: bytes, pseudonyms: Pseudonyms) -> Prepared | None:
    """What the long way gives of a line of an export or of a shop's own file; None: ask it."""
    if not is_plain(raw):
        return None
    try:
        data = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return None
    return _ordinary(data, raw, partial(pseudonyms.of, trusted=True))


def is_plain(raw: bytes) -> bool:
    """Whether no text in some JSON can hold what a database cannot, or be written otherwise than
    it is read."""
    return b"\\" not in raw and raw.isascii()


def ordinary_event(data: object, pseudonyms: Pseudonyms) -> Prepared | None:
    """What the long way gives of an event sent by a shop, from JSON that `is_plain`; None: ask it.

    Unlike a line's, its numbers mean what the JSON parser made of them.
    """
    return _ordinary(data, b"", pseudonyms.of)


def _ordinary(data: object, raw: bytes, named: _Named) -> Prepared | None:
    if type(data) is not dict:
        return None
    record = cast("_Json", data)
    kind = record.get("type")
    way = _WAYS.get(kind) if type(kind) is str else None
    if way is None:
        return None
    try:
        return way(record, raw, named)
    except (_Unusual, ValueError, OverflowError):
        return None


def _promotion(data: _Json, raw: bytes, named: _Named) -> Prepared:
    del raw
    told, instant = _begun(data, _PROMOTION)
    offer_id = _needed(data, "offer_id")
    told["offer_id"] = offer_id
    checkout, session, customer = _who(data, told, named)
    kind, event_id = told["type"], told["event_id"]
    return Prepared(
        *(event_id, kind, instant, checkout, session, customer, offer_id, None),
        *_written(told, told),
    )


def _order(data: _Json, raw: bytes, named: _Named) -> Prepared:
    told, instant = _begun(data, _ORDER)
    offer_id = _may(data, "offer_id", told)
    checkout, session, customer = _who(data, told, named)
    transaction = told["transaction_id"] = _needed(data, "transaction_id")
    currency = _currency(data, told)
    kind, event_id = told["type"], told["event_id"]
    items: list[_Json] = []
    offered_ids: set[str] = set()
    for given in _entries(data, "items"):
        entry = _object(given, _ITEM)
        item: _Json = {"item_id": _needed(entry, "item_id"), "quantity": _quantity(entry)}
        _amount(entry, "price", currency, raw, item)
        _discount(entry, currency, raw, item)
        offered = _may(entry, "offer_id", item)
        if offered is not None:
            offered_ids.add(offered)
        items.append(item)
    if kind == "purchase" and not items:
        raise _Unusual
    told["items"] = items
    return Prepared(
        *(event_id, kind, instant, checkout, session, customer, offer_id, transaction),
        *_written(told, told),
        named=tuple(sorted(offered_ids)),
    )


def _decision(data: _Json, raw: bytes, named: _Named) -> Prepared:
    decision_id = _needed(data, "decision_id")
    data.setdefault("event_id", decision_id)
    told, instant = _begun(data, _DECISION)
    told["decision_id"] = decision_id
    checkout, session, customer = _who(data, told, named)
    if checkout is None or data.get("arm") not in ("treatment", "control"):
        raise _Unusual
    told["arm"] = data["arm"]
    _may(data, "model_version", told)
    if _may(data, "placement", told) is None:
        told["placement"] = "checkout"
    currency = _currency(data, told)
    share = data.get("control_share")
    if share is not None:
        if type(share) is not float or not 0 < share < 1:
            raise _Unusual
        told["control_share"] = share
    _may(data, "store_id", told)
    _may(data, "segment", told)
    told["lines"] = [_line(entry, currency, raw) for entry in _entries(data, "lines")]
    offers = told["offers"] = [_offer(entry, currency, raw) for entry in _entries(data, "offers")]
    offer_ids = tuple(offer["offer_id"] for offer in offers)
    if len(set(offer_ids)) != len(offer_ids):
        raise _Unusual
    explained = [{**offer, **_UNEXPLAINED[offer["kind"]]} for offer in offers]
    return Prepared(
        *(told["event_id"], "decision", instant, checkout, session, customer, None, None),
        *_written(told, {**told, "offers": explained}),
        decision_id,
        offer_ids,
    )


_UNEXPLAINED: Mapping[str, _Json] = {
    "cross_sell": {"score": 0.0, "text": ""},
    "upsell": {"score": 0.0, "text": "", "gains": [], "losses": []},
}


def _line(given: object, currency: str | None, raw: bytes) -> _Json:
    entry = _object(given, _LINE)
    line: _Json = {"item_id": _needed(entry, "item_id"), "quantity": _quantity(entry)}
    _amount(entry, "unit_price", currency, raw, line)
    _discount(entry, currency, raw, line)
    return line


def _offer(given: object, currency: str | None, raw: bytes) -> _Json:
    entry = _object(given, _OFFER)
    kind, position = entry.get("kind"), entry.get("position", 1)
    if kind not in KINDS or type(position) is not int or not 1 <= position <= _MOST:
        raise _Unusual
    offer: _Json = {
        "offer_id": _needed(entry, "offer_id"),
        "kind": kind,
        "item_id": _needed(entry, "item_id"),
    }
    _may(entry, "name", offer)
    _may(entry, "family", offer)
    offer["position"] = position
    _amount(entry, "unit_price", currency, raw, offer)
    if entry.get("replaces") is not None:
        base = _object(entry["replaces"], _REPLACES)
        replaced: _Json = {"item_id": _needed(base, "item_id"), "quantity": _quantity(base)}
        _amount(base, "price_difference", currency, raw, replaced)
        offer["replaces"] = replaced
    elif kind == "upsell":
        raise _Unusual
    return offer


def _begun(data: _Json, known: frozenset[str]) -> tuple[_Json, int]:
    """The record's first fields, its keys in the order every fact is written in, and when."""
    if not data.keys() <= known or data.get("is_bot") or data.get("consent") is False:
        raise _Unusual
    for flag in ("is_bot", "consent"):
        if type(data.get(flag, False)) is not bool:
            raise _Unusual
    instant, written = clock.read_instant(_needed(data, "occurred_at"))
    event_id = _needed(data, "event_id")
    return {"type": data["type"], "event_id": event_id, "occurred_at": written}, instant


def _who(data: _Json, told: _Json, named: _Named) -> tuple[str | None, str | None, str | None]:
    """Checkout, session, customer; the last two under pseudonyms."""
    checkout = _may(data, "checkout_id", told)
    session, customer = data.get("session_id"), data.get("customer_id")
    if session is not None:
        session = named("session", _needed(data, "session_id"))
        told["session_id"] = session
    if customer is not None:
        customer = named("customer", _needed(data, "customer_id"))
        told["customer_id"] = customer
    return checkout, session, customer


def _written(outward: _Json, whole: _Json) -> tuple[bytes, str]:
    """Digest and body."""
    return record_digest(outward), orjson.dumps(whole).decode()


def _needed(data: _Json, field: str) -> str:
    value = data.get(field)
    if type(value) is not str or not 0 < len(value) <= LONGEST_ID:
        raise _Unusual
    return value


def _may(data: _Json, field: str, told: _Json) -> str | None:
    value = data.get(field)
    if value is None:
        return None
    if type(value) is not str or not 0 < len(value) <= LONGEST_ID:
        raise _Unusual
    told[field] = value
    return value


def _object(given: object, known: frozenset[str]) -> _Json:
    if type(given) is not dict or not cast("_Json", given).keys() <= known:
        raise _Unusual
    return cast("_Json", given)


def _entries(data: _Json, field: str) -> Iterable[object]:
    given = data.get(field)
    if given is None:
        return ()
    if type(given) is not list or len(cast("list[object]", given)) > _MOST:
        raise _Unusual
    return cast("list[object]", given)


def _quantity(data: _Json) -> int:
    value = data.get("quantity", 1)
    if type(value) is not int or not 0 < value <= _MOST_UNITS:
        raise _Unusual
    return value


def _currency(data: _Json, told: _Json) -> str | None:
    code = _may(data, "currency", told)
    if code is not None and not money.is_currency(code):
        raise _Unusual
    return code


def _amount(data: _Json, field: str, currency: str | None, raw: bytes, told: _Json) -> None:
    given = data.get(field)
    if given is not None:
        told[field] = _price(_number(given, raw), _known(currency))[0]


def _discount(data: _Json, currency: str | None, raw: bytes, told: _Json) -> None:
    given = data.get("discount")
    if given is not None:
        written, minor = _price(_number(given, raw), _known(currency))
        if minor:
            told["discount"] = written


def _known(currency: str | None) -> str:
    if currency is None:
        raise _Unusual
    return currency


def _number(given: object, raw: bytes) -> str | float:
    if type(given) is str:
        return given
    if (type(given) is not float and type(given) is not int) or LONG_NUMBER.search(raw):
        raise _Unusual
    return given


@lru_cache(32_768)  # a shop has far fewer prices than facts
def _price(amount: str | float, currency: str) -> tuple[str, int]:
    """As every fact writes it, and in minor units."""
    minor = money.to_minor(amount, currency)
    if minor < 0:
        raise _Unusual
    return money.to_text(minor, currency), minor


_WAYS: Mapping[str, Callable[[_Json, bytes, _Named], Prepared]] = {
    "decision": _decision,
    **dict.fromkeys(PROMOTION_TYPES, _promotion),
    **dict.fromkeys(ORDER_TYPES, _order),
}
