"""JSON of a decision's lines and offers, written once where a cart comes again.

A decision is written three times: as the answer to the shop, as the body of its fact, and, with
its keys in order, for the fact's digest. All that differs from one call for a cart to the next are
the ids; so the offers are kept as JSON that is cut where each id belongs.
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

# Nobody's text can hold it.
_ID = secrets.token_urlsafe(16)
_SEAM = _ID.encode()


class Pieces(tuple[bytes, ...]):
    """A JSON array of offers without their ids: what stands before each, and behind the last."""

    __slots__ = ()

    def under(self, offers: Sequence[Offer]) -> orjson.Fragment:
        """The array under the ids of `offers`."""
        parts = [self[0]]
        for offer, piece in zip(offers, self[1:], strict=True):
            parts += (offer.offer_id.encode(), piece)
        return orjson.Fragment(b"".join(parts))


class Fragments(NamedTuple):
    """Lines and offers of the fact's body, of its digest, and offers of the answer.

    `ids_hold` tells whether every id of an item in it can be stored.
    """

    lines: bytes
    digest_lines: bytes
    body: Pieces
    digest: Pieces
    answer: Pieces
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
    named = [offer.under(_ID) for offer in offers]
    records = [offer_to_json(offer, currency) for offer in named]
    ids = [line.item_id for line in lines]
    ids += (offer.item_id for offer in offers)
    ids += (offer.replaces.item_id for offer in offers if offer.replaces is not None)
    try:
        return Fragments(
            _kept(orjson.dumps(told)),
            _kept(orjson.dumps(told, option=orjson.OPT_SORT_KEYS)),
            _cut(
                [
                    {**record, **explanation(offer, currency)}
                    for record, offer in zip(records, named, strict=True)
                ]
            ),
            _cut(records, orjson.OPT_SORT_KEYS),
            _cut([answer(offer) for offer in named]),
            all(map(fields.is_id, ids)),
        )
    except (orjson.JSONEncodeError, ValueError):
        return None


def _kept(text: bytes) -> bytes:
    """Without the room that the writer of JSON took to write it: kilobytes beside some words."""
    return bytes(memoryview(text))


def _cut(records: Sequence[Mapping[str, object]], option: int = 0) -> Pieces:
    return Pieces(orjson.dumps(records, option=option).split(_SEAM))
