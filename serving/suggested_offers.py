"""Bodies of the answers of suggestion calls; `mersalg.serving.schemas` has those of the calls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from mersalg.engine.facts import Arm, Change, Evidence, Kind, Step, Tracking


class ReplacedItem(Struct):
    """The item an upsell would replace."""

    item_id: str
    quantity: int | str
    price_difference: Annotated[
        str | None,
        Meta(
            description="For one unit: the better item's price less what the buyer pays for one"
            " after the discounts of its lines, on average where several lines differ"
        ),
    ]


class OfferDisplay(Struct):
    """An offer as buyers read it, in the language of the answer."""

    price: Annotated[str | None, Meta(description="`unit_price`, as `199 kr`")]
    difference: Annotated[
        str | None, Meta(description="What an upsell costs more, for one unit, as `+1 000 kr`")
    ]
    gains: Annotated[
        Sequence[str],
        Meta(description="A label of each gain that has a name for buyers, as `4x the storage`"),
    ]
    losses: Annotated[Sequence[str], Meta(description="The same of losses, as `Without breakfast`")]


class SuggestedOffer(Struct, frozen=True):
    """What both kinds of offers have in common."""

    offer_id: str
    kind: Kind
    item_id: str
    name: str
    position: int
    unit_price: Annotated[str | None, Meta(description="Null where the catalogue knows no price")]
    currency: str
    score: float


class CrossSellOffer(SuggestedOffer, frozen=True, omit_defaults=True):
    """An item that complements the cart."""

    kind: Literal["cross_sell"]
    evidence: Evidence
    text: str
    image_url: str | None = None
    display: OfferDisplay | None = None


class UpsellOffer(SuggestedOffer, frozen=True, omit_defaults=True):
    """A better version of something in the cart."""

    kind: Literal["upsell"]
    unit_price: str
    replaces: ReplacedItem
    gains: Sequence[Change]
    losses: Sequence[Change]
    text: str
    image_url: str | None = None
    display: OfferDisplay | None = None
    step: Step | None = None
    total_difference: Annotated[
        str | None,
        Meta(
            description="What the whole swap adds to the cart: the better item's price for every"
            " unit replaced, less what the buyer pays for the lines replaced"
        ),
    ] = None


_OF_KIND = {
    "cross_sell": "#/components/schemas/CrossSellOffer",
    "upsell": "#/components/schemas/UpsellOffer",
}
_OFFERS = {
    "anyOf": [{"$ref": reference} for reference in _OF_KIND.values()],
    "discriminator": {"propertyName": "kind", "mapping": _OF_KIND},
}


class SuggestionResponse(Struct, omit_defaults=True):
    """One decision. In the control arm, and where nothing fits, `offers` is empty."""

    decision_id: str
    arm: Arm
    model_version: Annotated[str | None, Meta(description="Null where no model is published yet")]
    tracking: Annotated[
        Tracking,
        Meta(
            description="`recorded` on disk, `deferred` while the database is away, `off` where it"
            " is not recorded"
        ),
    ]
    # A tagged union of `msgspec` would write `kind` first.
    offers: Sequence[Annotated[Any, Meta(extra_json_schema=_OFFERS)]]
    language: Annotated[str, Meta(description="Of `text`, `display` and `labels`")] = ""
    labels: Annotated[
        Mapping[str, str],
        Meta(
            description="What a list of offers says around them: `title`, `add`, `replace`,"
            " `added`, `undo`, `dismiss`"
        ),
    ] = {}
    warnings: Sequence[str] = ()
    unknown_item_ids: Sequence[str] = ()
