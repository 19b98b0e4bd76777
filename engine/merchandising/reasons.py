"""Why a candidate is not offered: the one list, for arrays, people and the API."""

from __future__ import annotations

from enum import IntEnum


class Reason(IntEnum):
    """The first that applies, in this order. Numbers may change; `code` never does.

    A pin of the shop overrides what comes after `ALREADY_OFFERED`, and nothing before it.
    """

    meaning: str

    def __new__(cls, number: int, meaning: str) -> Reason:
        """Make a member with the meaning of its number."""
        member = int.__new__(cls, number)
        member._value_ = number
        member.meaning = meaning
        return member

    ELIGIBLE = 0, "may be offered"
    IN_CART = 1, "the cart holds it"
    IN_BUNDLE = 2, "the cart holds it in a bundle, or holds a part of it"
    EXCLUDED_BY_CALLER = 3, "the call excluded it"
    ALREADY_DECLINED = 4, "the buyer declined it"
    NOT_ACTIVE = 5, "not on sale"
    OUT_OF_STOCK = 6, "out of stock"
    BLOCKED_ITEM = 7, "the shop blocks the item"
    BLOCKED_CATEGORY = 8, "the shop blocks its category"
    BLOCKED_RULE = 9, "the shop blocks it beside something the cart holds"
    INCOMPATIBLE = 10, "it fits nothing in the cart"
    ALREADY_OFFERED = 11, "the same answer offers it already, in another place"
    BELOW_MARGIN = 12, "it leaves less than the shop's least margin"
    TOO_DEAR = 13, "it is too dear beside this cart"
    SENSITIVE = 14, "its category is sensitive, and the cart holds something else"
    SUBSTITUTE = 15, "it replaces something in the cart rather than going with it"
    KEPT_APART = 16, "it is bought together with something in the cart less often than by chance"
    FAMILY_OFFERED = 17, "the same answer offers another of its family, which replaces it"
    CATEGORY_CAP = 18, "its category has all the places it may have"
    LOWER_SCORE = 19, "others scored higher"

    @property
    def code(self) -> str:
        """The stable name outside."""
        return self.name.lower()


LAST_BINDING = Reason.ALREADY_OFFERED
"""The last reason that holds against a pin too."""

REJECTIONS = tuple(reason for reason in Reason if reason)
"""Every reason but `ELIGIBLE`."""
