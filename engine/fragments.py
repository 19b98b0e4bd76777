"""JSON of a decision's lines and offers, written once where a cart comes again.

A decision is written three times: as the answer to the shop, as the body of its fact, and, with
its keys in order, for the fact's digest. All that differs from one call for a cart to the next are
the ids; so each offer is kept as what stands before its id and what stands behind it.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import orjson

from engine import fields
from engine.events import line_to_json, offer_to_json
from engine.fact_records import explanation
from engine.offers import CartLine, Offer

Around = tuple[bytes, bytes]
"""JSON of an object before the value of its `offer_id`, and behind it, both with their quotes."""

# Nobody's text can hold it.
_ID = secrets.token_urlsafe(16)
_SEAM = _ID.encode()


class OfferFragment(NamedTuple):
    """One offer, still without its id: for the fact's body, its digest, and the answer."""

    body: Around
    digest: Around
    answer: Around


class Fragments(NamedTuple):
    """`ids_hold` tells whether every id of an item in it can be stored."""

    lines: bytes
    digest_lines: bytes
    offers: tuple[OfferFragment, ...]
    ids_hold: bool


def fragments_of(
    lines: Sequence[CartLine],
    offers: Sequence[Offer],
    currency: str | None,
    answer: Callable[[Offer], Mapping[str, object]],
) -> Fragments | None:
    """Of a cart and its offers; None where something in them cannot be written as JSON.

    Args:
        answer: an offer as the shop is told of it.
    """
    told = [line_to_json(line, currency) for line in lines]
    ids = [line.item_id for line in lines]
    ids += (offer.item_id for offer in offers)
    ids += (offer.replaces.item_id for offer in offers if offer.replaces is not None)
    try:
        return Fragments(
            _kept(orjson.dumps(told)),
            _kept(orjson.dumps(told, option=orjson.OPT_SORT_KEYS)),
            tuple(_fragment(offer, currency, answer(offer)) for offer in offers),
            all(map(fields.is_id, ids)),
        )
    except (orjson.JSONEncodeError, ValueError):
        return None


def _fragment(offer: Offer, currency: str | None, answer: Mapping[str, object]) -> OfferFragment:
    record = offer_to_json(offer, currency)
    return OfferFragment(
        _around({**record, **explanation(offer, currency)}, 0),
        _around(record, orjson.OPT_SORT_KEYS),
        _around(answer, 0),
    )


def _kept(text: bytes) -> bytes:
    """Without the room that the writer of JSON took to write it: kilobytes beside some words."""
    return bytes(memoryview(text))


def _around(record: Mapping[str, object], option: int) -> Around:
    before, behind = orjson.dumps({**record, "offer_id": _ID}, option=option).split(_SEAM)
    return before, behind
