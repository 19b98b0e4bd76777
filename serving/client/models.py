"""Types of the HTTP API, written by `make client` from its OpenAPI document."""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypeAlias, TypedDict


class AuditAnswer(TypedDict):
    """
    The newest first; `who` is `key:` and the id of an API key (`mersalg keys list`), `user:`
    and a name on the machine, or `anyone` where no keys are set. Customers stand under their
    pseudonyms.
    """

    entries: list[dict[str, Any]]


ChangeBody = TypedDict(
    "ChangeBody",
    {
        "attribute": str,
        "from": str,
        "to": str,
    },
)


class CustomerErasure(TypedDict):
    """
    `facts` counts the facts that no longer lead to the customer.
    """

    customer_id: str
    facts: int


class CustomerExport(TypedDict):
    """
    `facts` are in the schema of events; ids of people are the pseudonyms that are stored.
    """

    customer_id: str
    facts: list[dict[str, Any]]


class ErrorBody(TypedDict):
    """
    `code` is stable and fit for machines, `message` is for people.
    """

    code: str
    message: str
    details: NotRequired[dict[str, Any] | list[Any]]


class EvidenceBody(TypedDict):
    """
    Counts of orders; no antecedent means a popular item, counted among all orders.
    """

    antecedent_item_ids: list[str]
    n_joint: int
    n_antecedent: int
    confidence: float
    lift: float
    lift_lower: float


class ExplainedLine(TypedDict):
    item_id: str
    quantity: int | str
    unit_price: NotRequired[str | None]
    discount: NotRequired[str | None]


class ExplainedReplaces(TypedDict):
    item_id: str
    quantity: int | str
    price_difference: NotRequired[str | None]


class Limits(TypedDict):
    """
    At most so many offers of each kind; the shop's own limits where not given.
    """

    cross_sell: NotRequired[int | None]
    upsell: NotRequired[int | None]


class ModelList(TypedDict):
    """
    `published` is what `models/current.json` names, `serving` what answers come from;
    `problem` says why the two differ.
    """

    published: str | None
    serving: str | None
    problem: str | None
    versions: list[dict[str, Any]]


class Published(TypedDict):
    """
    What is published and served now; other workers follow within a second.
    """

    published: str | None
    serving: str | None


class RejectedCandidate(TypedDict):
    """
    Something that was in the running, and was not offered as `kind`.
    """

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
        "substitute",
        "kept_apart",
        "category_cap",
        "lower_score",
    ]


class Rejection(TypedDict):
    """
    A fact that was not recorded: its index in the batch, a stable code and a sentence.
    """

    index: int
    code: str
    message: str


class ReplacesBody(TypedDict):
    item_id: str
    quantity: int | str
    price_difference: str


class UpsellOffer(TypedDict):
    offer_id: str
    kind: Literal["upsell"]
    item_id: str
    name: str
    position: int
    unit_price: str
    currency: str
    score: float
    replaces: ReplacesBody
    gains: list[ChangeBody]
    losses: list[ChangeBody]
    text: str
    step: NotRequired[Literal["size", "tier"]]
    total_difference: NotRequired[str | None]


class Verified(TypedDict):
    """
    A version on disk that was read, checked against its manifest, and can answer.
    """

    version: str
    manifest: dict[str, Any]


class RequestLine(TypedDict):
    item_id: str | int
    quantity: NotRequired[float | str]
    unit_price: NotRequired[str | float | None]
    discount: NotRequired[str | float | None]


class SuggestionRequest(TypedDict):
    """
    One cart at one moment of one checkout.
    """

    checkout_id: str | int
    session_id: NotRequired[str | int | None]
    customer_id: NotRequired[str | int | None]
    placement: NotRequired[str | int | None]
    store_id: NotRequired[str | int | None]
    segment: NotRequired[str | int | None]
    locale: NotRequired[str | None]
    lines: NotRequired[list[RequestLine] | None]
    limits: NotRequired[Limits | None]
    mode: NotRequired[Literal["discovery", "complete"] | None]
    exclude_item_ids: NotRequired[list[str | int] | None]
    declined_item_ids: NotRequired[list[str | int] | None]
    currency: NotRequired[str | None]
    consent: NotRequired[
        bool
        | Literal[0, 1, "true", "false", "yes", "no", "on", "off", "y", "n", "t", "f", "1", "0"]
        | None
    ]


class Item(TypedDict):
    item_id: str
    quantity: NotRequired[float]
    price: NotRequired[str | float]
    discount: NotRequired[str | float]
    offer_id: NotRequired[str]


class Event(TypedDict):
    type: Literal[
        "view_promotion",
        "select_promotion",
        "add_to_cart",
        "dismiss_promotion",
        "purchase",
        "refund",
        "cancel",
    ]
    event_id: str
    occurred_at: str
    offer_id: NotRequired[str]
    promotion_id: NotRequired[str]
    checkout_id: NotRequired[str]
    session_id: NotRequired[str]
    customer_id: NotRequired[str]
    transaction_id: NotRequired[str]
    currency: NotRequired[str]
    items: NotRequired[list[Item]]
    is_bot: NotRequired[bool]
    consent: NotRequired[bool]


class ModelReference(TypedDict):
    version: str


class CrossSellOffer(TypedDict):
    offer_id: str
    kind: Literal["cross_sell"]
    item_id: str
    name: str
    position: int
    unit_price: str | None
    currency: str
    score: float
    evidence: EvidenceBody
    text: str


class DecisionExplanation(TypedDict):
    """
    The decision's own model asked again, with the pins and blocks of its moment.
    """

    status: Literal["complete", "differs", "model_gone", "model_unusable", "no_model"]
    message: str | None
    pinned_item_ids: list[str]
    counts: dict[str, int]
    rejected: list[RejectedCandidate]


class ErrorAnswer(TypedDict):
    error: ErrorBody


class EventsAnswer(TypedDict):
    """
    `recorded` + `duplicates` + the number of `rejected` is the number of events sent.
    """

    recorded: int
    duplicates: int
    rejected: list[Rejection]


class ExplainedOffer(TypedDict):
    """
    As recorded; a ghost where the arm is `control`.
    """

    offer_id: str
    kind: Literal["cross_sell", "upsell"]
    item_id: str
    position: int
    score: float
    text: str
    name: NotRequired[str | None]
    family: NotRequired[str | None]
    unit_price: NotRequired[str | None]
    evidence: NotRequired[EvidenceBody | None]
    replaces: NotRequired[ExplainedReplaces | None]
    gains: NotRequired[list[ChangeBody] | None]
    losses: NotRequired[list[ChangeBody] | None]
    step: NotRequired[Literal["size", "tier"] | None]
    total_difference: NotRequired[str | None]


Offers: TypeAlias = CrossSellOffer | UpsellOffer


class SuggestionResponse(TypedDict):
    """
    One decision. In the control arm, and where nothing fits, `offers` is empty.
    """

    decision_id: str
    arm: Literal["treatment", "control"]
    model_version: str | None
    tracking: Literal["recorded", "deferred", "off"]
    offers: list[Offers]


class Events(TypedDict):
    events: list[Event]


class ExplainedDecision(TypedDict):
    """
    One decision as recorded; what was not known then is left out.
    """

    type: Literal["decision"]
    event_id: str
    occurred_at: str
    decision_id: str
    checkout_id: str
    arm: Literal["treatment", "control"]
    placement: str
    lines: list[ExplainedLine]
    offers: list[ExplainedOffer]
    explanation: DecisionExplanation
    session_id: NotRequired[str | None]
    customer_id: NotRequired[str | None]
    model_version: NotRequired[str | None]
    currency: NotRequired[str | None]
    control_share: NotRequired[float | None]
    is_bot: NotRequired[bool | None]
    limits: NotRequired[Limits | None]
    excluded_item_ids: NotRequired[list[str] | None]
    declined_item_ids: NotRequired[list[str] | None]
    mode: NotRequired[Literal["discovery", "complete"] | None]
    model_customer: NotRequired[int | None]
    store_id: NotRequired[str | None]
    segment: NotRequired[str | None]
