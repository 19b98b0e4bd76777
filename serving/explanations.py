"""Why a past decision offered what it did and nothing else: the same model is asked again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import cast

from msgspec.structs import astuple

from mersalg.engine import fact_schema
from mersalg.engine.decoding import decode_fact
from mersalg.engine.errors import ModelError, ModelNotFound
from mersalg.engine.fact_bodies import pack
from mersalg.engine.facts import KINDS, Decision, Limits
from mersalg.engine.merchandising.placement import Rejected
from mersalg.engine.merchandising.reasons import Reason
from mersalg.engine.model import Model
from mersalg.engine.registry import Registry
from mersalg.engine.slate import Slate, build_slate
from mersalg.engine.storage.questions import Bought, BuyerQuery, KnownBuyer
from mersalg.serving.checkout import past_of, prepared_for
from mersalg.serving.schemas import DecisionExplanation, ExplainedDecision, RejectedCandidate

_PAST_MODELS = 2


class Explainer:
    """Explains recorded decisions; versions that are served no longer are read from disk.

    `live` returns the model being served now, `known_buyers` what is known of buyers; it blocks.
    """

    def __init__(
        self,
        registry: Registry,
        live: Callable[[], Model | None],
        known_buyers: Callable[[Sequence[BuyerQuery]], Sequence[KnownBuyer]],
    ) -> None:
        self._live, self._known_buyers = live, known_buyers
        self._load = lru_cache(_PAST_MODELS)(registry.load)

    def explain(self, decision: Decision, most: int) -> ExplainedDecision:
        """Return the decision with all that explains it, and at most `most` rejected candidates."""
        body = cast(fact_schema.DecisionBody, decode_fact(pack(decision)))
        return ExplainedDecision(*astuple(body), explanation=self._explanation(decision, most))

    def _explanation(self, decision: Decision, most: int) -> DecisionExplanation:
        version = decision.model_version
        if version is None:
            return DecisionExplanation("no_model", "no model made this decision", (), {}, ())
        try:
            model = self.model(version)
        except ModelNotFound:
            message = (
                f"model {version} is no longer on disk, so the candidates that it rejected are not"
                " known; the offers are as they were recorded"
            )
            return DecisionExplanation("model_gone", message, (), {}, ())
        except ModelError as error:
            return DecisionExplanation("model_unusable", error.message, (), {}, ())
        slate = _recomputed_slate(model, decision, self._bought(model, decision))
        return _explanation_of(model, decision, slate, most)

    def _bought(self, model: Model, decision: Decision) -> list[Bought]:
        """Return what the customer had bought by then since the model was trained."""
        if decision.customer_id is None:
            return []
        since = model.customers.known_until if model.customers is not None else 0
        query = BuyerQuery("", customer_id=decision.customer_id, bought_after=since)
        [buyer] = self._known_buyers([query])
        return [order for order in buyer.purchases if order[0] < decision.occurred_at]

    def model(self, version: str) -> Model:
        """Return a version, as it is served where it is; raises ModelError."""
        live = self._live()
        return live if live is not None and live.version == version else self._load(version)


def _recomputed_slate(model: Model, decision: Decision, bought: list[Bought]) -> Slate:
    """Return the slate of the decision's own cart, customer, moment and limits.

    Where limits were not recorded (imported decisions), as many of each kind as were offered.
    """
    limits = decision.limits or Limits(
        *(sum(offer.kind == kind for offer in decision.offers) for kind in KINDS)
    )
    return build_slate(
        prepared_for(model).recommenders,
        decision.lines,
        cross_sell=limits.cross_sell,
        upsell=limits.upsell,
        at=decision.occurred_at,
        excluded_item_ids=decision.excluded_item_ids,
        declined_item_ids=decision.declined_item_ids,
        past=past_of(model, decision.model_customer, bought, decision.occurred_at),
        mode=decision.mode or "discovery",
        explain=True,
    )


def _explanation_of(
    model: Model, decision: Decision, slate: Slate, most: int
) -> DecisionExplanation:
    ids = model.catalogue.items
    offered = {(offer.kind, offer.item_id) for offer in decision.offers}
    chosen = {"cross_sell": slate.cross_sell, "upsell": slate.upsell}
    again = {(kind, ids[each.item]) for kind in KINDS for each in chosen[kind]}
    rejected = [
        candidate
        for candidate in slate.rejected
        if (candidate.kind, ids[candidate.item]) not in offered
    ]
    same = again == offered
    return DecisionExplanation(
        "complete" if same else "differs",
        None
        if same
        else "this model offers something else now: the decision was imported, its call stated"
        " what was not recorded (as of a long cart), or another release of the software made it",
        [ids[each.item] for each in slate.cross_sell if each.pinned],
        dict(Counter(candidate.reason.code for candidate in rejected)),
        [_candidate(model, each) for each in _foremost(rejected, most)],
    )


def _foremost(rejected: Sequence[Rejected], most: int) -> list[Rejected]:
    """Return the best, and of every reason at least one: questions are often about a rare one."""
    first: dict[Reason, int] = {}
    for index, each in enumerate(rejected):
        first.setdefault(each.reason, index)
    heads = set(first.values())
    places = sorted(range(len(rejected)), key=lambda index: (index not in heads, index))
    return [rejected[index] for index in sorted(places[:most])]


def _candidate(model: Model, rejected: Rejected) -> RejectedCandidate:
    catalogue = model.catalogue
    item_id = catalogue.items[rejected.item]
    return RejectedCandidate(
        rejected.kind,
        item_id,
        catalogue.names[rejected.item] or item_id,
        round(rejected.score, 6),
        rejected.reason.code,
    )
