"""Types of the HTTP API, written by `make client` from its OpenAPI document."""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypeAlias, TypedDict


class AuditAnswer(TypedDict):
    """Actions of administrators, the newest first.

    `who` is `key:` and the id of an API key (`mersalg keys list`), `user:` and a name on the
    machine, or `anyone` where no keys are set. Customers are named by their pseudonyms.
    """

    entries: list[dict[str, Any]]


class CustomerErasure(TypedDict):
    """`facts` counts the facts that no longer lead to the customer."""

    customer_id: str
    facts: int


class ErrorBody(TypedDict):
    """`code` is stable and fit for machines, `message` is for people."""

    code: str
    message: str
    details: NotRequired[dict[str, Any] | list[Any]]


class ItemUpdated(TypedDict):
    """`updated_at` is the newest instant as of which something is known of the item."""

    item_id: str
    updated_at: str


class ModelList(TypedDict):
    """Versions on disk, and which of them is in use.

    `published` is what `models/current.json` names, `serving` the version that answers; `problem`
    says why the two differ.
    """

    published: str | None
    serving: str | None
    problem: str | None
    versions: list[dict[str, Any]]


class Offered(TypedDict):
    """Answer to whether an item can be offered at all, beside or instead of something in a cart."""

    cross_sell: bool
    upsell: bool


class Published(TypedDict):
    """Versions that are published and served now; other workers follow within a second."""

    published: str | None
    serving: str | None


class Rejection(TypedDict):
    """A fact that was not recorded: its index in the batch, a stable code and a sentence."""

    index: int
    code: str
    message: str


class Remembered(TypedDict):
    """Orders of one customer that a model remembers: their times and their items."""

    model_version: str
    orders: list[dict[str, Any]]


class RuleList(TypedDict):
    """All rules, those that come first in force before the others."""

    rules: list[dict[str, Any]]


class RuleUpdated(TypedDict):
    """`warnings` name items and categories that the model does not know."""

    rule_id: str
    updated_at: str
    warnings: NotRequired[list[str]]


class Verified(TypedDict):
    """A version on disk that was read, checked against its manifest, and can answer."""

    version: str
    manifest: dict[str, Any]


class EventBody(TypedDict):
    """A promotion event: what happened to an offer."""

    type: Literal["add_to_cart", "dismiss_promotion", "select_promotion", "view_promotion"]
    event_id: str | int
    occurred_at: str
    offer_id: NotRequired[str | int | None]
    checkout_id: NotRequired[str | int | None]
    session_id: NotRequired[str | int | None]
    customer_id: NotRequired[str | int | None]
    transaction_id: NotRequired[str | int | None]
    currency: NotRequired[str | int | None]
    is_bot: NotRequired[bool | None]
    scope: NotRequired[Literal["server", "storefront", "token"] | None]
    stated_at: NotRequired[str | None]
    promotion_id: NotRequired[str | int | None]
    consent: NotRequired[bool | None]
    checkout_token: NotRequired[str | int | None]


class ItemBody(TypedDict):
    """A line of a purchase or refund."""

    item_id: NotRequired[str | int | None]
    quantity: NotRequired[float | str]
    price: NotRequired[float | str]
    discount: NotRequired[float | str]
    tax: NotRequired[float | str]
    offer_id: NotRequired[str | int | None]
    promotion_id: NotRequired[str | int | None]


class RequestLine(TypedDict):
    """A line of the cart of a suggestion call."""

    item_id: str | int
    quantity: NotRequired[float | str]
    unit_price: NotRequired[float | str | None]
    discount: NotRequired[float | str | None]


class OfferLimits(TypedDict):
    """Maximum number of offers of each kind; the shop's own limits where they are not given."""

    cross_sell: NotRequired[int | None]
    upsell: NotRequired[int | None]


class Evidence(TypedDict):
    """The counts behind a cross-sell offer, and the measures derived from them."""

    antecedent_item_ids: list[str]
    n_joint: int
    n_antecedent: int
    confidence: float
    lift: float
    lift_lower: float


class OfferDisplay(TypedDict):
    """An offer as buyers read it, in the language of the answer."""

    price: str | None
    difference: str | None
    gains: list[str]
    losses: list[str]


class ReplacedItem(TypedDict):
    """The item an upsell would replace."""

    item_id: str
    quantity: int | str
    price_difference: str | None


Change = TypedDict(
    "Change",
    {
        "attribute": str,
        "from": str,
        "to": str,
    },
)


class Limits(TypedDict):
    """Maximum number of offers of each kind."""

    cross_sell: int
    upsell: int


class LineBody(TypedDict):
    """A line of a cart."""

    item_id: NotRequired[str | int | None]
    quantity: NotRequired[float | str]
    unit_price: NotRequired[float | str]
    discount: NotRequired[float | str]


class ReplacesBody(TypedDict):
    """The item an upsell would replace."""

    item_id: NotRequired[str | int | None]
    quantity: NotRequired[float | str]
    price_difference: NotRequired[float | str]


class RejectedCandidate(TypedDict):
    """A candidate that was not offered as `kind`."""

    kind: Literal["cross_sell", "upsell"]
    item_id: str
    name: str
    score: float
    reason: Literal[
        "in_cart",
        "in_bundle",
        "excluded_by_caller",
        "already_declined",
        "not_active",
        "out_of_stock",
        "blocked_item",
        "blocked_category",
        "blocked_rule",
        "incompatible",
        "already_offered",
        "below_margin",
        "too_dear",
        "sensitive",
        "substitute",
        "kept_apart",
        "family_offered",
        "category_cap",
        "lower_score",
    ]


class ModelReference(TypedDict):
    """A version in the models folder."""

    version: str


CategoryItem: TypeAlias = str


class BatchItem(TypedDict):
    """An item of a batch."""

    price: NotRequired[float | str]
    in_stock: NotRequired[bool]
    active: NotRequired[bool]
    name: NotRequired[str]
    category: NotRequired[list[CategoryItem]]
    family: NotRequired[str]
    brand: NotRequired[str]
    cost: NotRequired[float | str]
    image_url: NotRequired[str]
    attributes: NotRequired[dict[str, str | float]]
    updated_at: NotRequired[str]
    item_id: str | int


class ItemUpdate(TypedDict):
    """Changes of an item; fields that are not named stay as they are."""

    price: NotRequired[float | str]
    in_stock: NotRequired[bool]
    active: NotRequired[bool]
    name: NotRequired[str]
    category: NotRequired[list[CategoryItem]]
    family: NotRequired[str]
    brand: NotRequired[str]
    cost: NotRequired[float | str]
    image_url: NotRequired[str]
    attributes: NotRequired[dict[str, str | float]]
    updated_at: NotRequired[str]


Rule = TypedDict(
    "Rule",
    {
        "item": NotRequired[str | None],
        "category": NotRequired[str | list[str] | None],
        "consequent": NotRequired[str | None],
        "antecedent": NotRequired[list[str]],
        "when_cart_has": NotRequired[list[str]],
        "from": NotRequired[str | None],
        "until": NotRequired[str | None],
        "position": NotRequired[int],
        "action": Literal["pin", "block"],
    },
)


class Items(TypedDict):
    items: list[BatchItem]


class CustomerExport(TypedDict):
    """All that an erasure touches; ids of people are the pseudonyms that are stored.

    `facts`, in the schema of events, name the customer or are of their sessions and name nobody;
    `remembered` are the orders that the model served knows of them, `units` the names under which
    roll-ups count them, `set_aside` records that could not be stored and name them.
    """

    customer_id: str
    facts: list[dict[str, Any]]
    remembered: Remembered | None
    units: list[str]
    set_aside: list[str]


class ErrorAnswer(TypedDict):
    """The answer of every call that fails."""

    error: ErrorBody


class EventsAnswer(TypedDict):
    """Counts whose sum, with the number of `rejected`, is the number of events sent."""

    recorded: int
    duplicates: int
    rejected: list[Rejection]
    warnings: NotRequired[list[str]]
    ignored: NotRequired[str | None]
    error: NotRequired[ErrorBody | None]


class Item(TypedDict):
    """An item as it is offered now; a field is null where nothing is known."""

    item_id: str
    name: str | None
    price: str | None
    currency: str | None
    in_stock: bool
    active: bool
    category: list[str] | None
    family: str | None
    brand: str | None
    cost: str | None
    image_url: str | None
    attributes: dict[str, str]
    updated_at: str | None
    in_model: bool
    offered: Offered
    reasons: list[str]


class OrderBody(TypedDict):
    """A purchase, refund or cancellation of an order."""

    type: Literal["cancel", "purchase", "refund"]
    event_id: str | int
    occurred_at: str
    offer_id: NotRequired[str | int | None]
    checkout_id: NotRequired[str | int | None]
    session_id: NotRequired[str | int | None]
    customer_id: NotRequired[str | int | None]
    transaction_id: NotRequired[str | int | None]
    currency: NotRequired[str | int | None]
    is_bot: NotRequired[bool | None]
    scope: NotRequired[Literal["server", "storefront", "token"] | None]
    stated_at: NotRequired[str | None]
    promotion_id: NotRequired[str | int | None]
    consent: NotRequired[bool | None]
    checkout_token: NotRequired[str | int | None]
    items: NotRequired[list[ItemBody] | None]
    refund_id: NotRequired[str | int | None]
    amount: NotRequired[float | str]
    prices_include_tax: NotRequired[bool | None]
    revision: NotRequired[int | None]


class SuggestionRequest(TypedDict):
    """One cart at one moment of one checkout. Fields that are not known are ignored and named."""

    checkout_id: str | int
    session_id: NotRequired[str | int | None]
    customer_id: NotRequired[str | int | None]
    placement: NotRequired[str | int | None]
    store_id: NotRequired[str | int | None]
    segment: NotRequired[str | int | None]
    locale: NotRequired[str | None]
    lines: NotRequired[list[RequestLine] | None]
    limits: NotRequired[OfferLimits | None]
    mode: NotRequired[Literal["complete", "discovery"] | None]
    exclude_item_ids: NotRequired[list[str | int] | None]
    declined_item_ids: NotRequired[list[str | int] | None]
    currency: NotRequired[str | None]
    checkout_token: NotRequired[str | int | None]
    preview: NotRequired[bool]
    consent: NotRequired[
        bool
        | Literal[0, 1]
        | Literal["true", "yes", "on", "y", "t", "1", "false", "no", "off", "n", "f", "0"]
        | None
    ]


class CrossSellOffer(TypedDict):
    """An item that complements the cart."""

    offer_id: str
    kind: Literal["cross_sell"]
    item_id: str
    name: str
    position: int
    unit_price: str | None
    currency: str
    score: float
    evidence: Evidence
    text: str
    image_url: NotRequired[str | None]
    display: NotRequired[OfferDisplay | None]


class UpsellOffer(TypedDict):
    """A better version of something in the cart."""

    offer_id: str
    kind: Literal["upsell"]
    item_id: str
    name: str
    position: int
    unit_price: str
    currency: str
    score: float
    replaces: ReplacedItem
    gains: list[Change]
    losses: list[Change]
    text: str
    image_url: NotRequired[str | None]
    display: NotRequired[OfferDisplay | None]
    step: NotRequired[Literal["size", "tier"] | None]
    total_difference: NotRequired[str | None]


class ExplainedOfferBody(TypedDict):
    """An offer with its score, text, evidence and changes."""

    offer_id: NotRequired[str | int | None]
    kind: NotRequired[Literal["cross_sell", "upsell"] | None]
    item_id: NotRequired[str | int | None]
    name: NotRequired[str | int | None]
    family: NotRequired[str | int | None]
    position: NotRequired[int]
    unit_price: NotRequired[float | str]
    replaces: NotRequired[ReplacesBody | None]
    score: NotRequired[float]
    text: NotRequired[str]
    evidence: NotRequired[Evidence | None]
    gains: NotRequired[list[Change] | None]
    losses: NotRequired[list[Change] | None]
    step: NotRequired[str | None]
    total_difference: NotRequired[float | str]


class DecisionExplanation(TypedDict):
    """Offers that the decision's model would make now, with the pins and blocks of its moment."""

    status: Literal["complete", "differs", "model_gone", "model_unusable", "no_model"]
    message: str | None
    pinned_item_ids: list[str]
    counts: dict[str, int]
    rejected: list[RejectedCandidate]


Event: TypeAlias = EventBody | OrderBody


class Events(TypedDict):
    events: list[Event]


Offers: TypeAlias = CrossSellOffer | UpsellOffer


class SuggestionResponse(TypedDict):
    """One decision. In the control arm, and where nothing fits, `offers` is empty."""

    decision_id: str
    arm: Literal["control", "treatment"]
    model_version: str | None
    tracking: Literal["deferred", "off", "recorded"]
    offers: list[Offers]
    language: NotRequired[str]
    labels: NotRequired[dict[str, str]]
    warnings: NotRequired[list[str]]
    unknown_item_ids: NotRequired[list[str]]


class ExplainedDecision(TypedDict):
    """One decision as recorded; what was not known then is left out."""

    type: Literal["decision"]
    event_id: str | int
    occurred_at: str
    decision_id: str | int
    checkout_id: str | int
    session_id: NotRequired[str | int | None]
    customer_id: NotRequired[str | int | None]
    arm: Literal["control", "treatment"]
    model_version: NotRequired[str | int | None]
    placement: str | int
    currency: NotRequired[str | int | None]
    control_share: NotRequired[float | None]
    is_bot: NotRequired[bool | None]
    scope: NotRequired[Literal["server", "storefront", "token"] | None]
    limits: NotRequired[Limits | None]
    excluded_item_ids: NotRequired[list[str | int | None] | None]
    declined_item_ids: NotRequired[list[str | int | None] | None]
    mode: NotRequired[Literal["complete", "discovery"] | None]
    model_customer: NotRequired[int | None]
    store_id: NotRequired[str | int | None]
    segment: NotRequired[str | int | None]
    lines: list[LineBody]
    lines_omitted: NotRequired[int | None]
    offers: list[ExplainedOfferBody]
    consent: NotRequired[bool | None]
    explanation: DecisionExplanation
