"""Why a past decision offered what it did and not something else: the same model, asked again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from functools import lru_cache

from engine.errors import ModelError, ModelNotFound
from engine.fact_json import explained
from engine.facts import Decision, Kind, Limits
from engine.merchandising.reasons import Reason
from engine.merchandising.rejections import Rejected
from engine.model import Model
from engine.registry import Registry
from engine.slate import Slate, build_slate
from engine.storage.questions import Bought, BuyerQuery, KnownBuyer
from serving.checkout import past_of, recommenders_of

_PAST_MODELS = 2
_NOTHING: dict[str, object] = {"pinned_item_ids": [], "counts": {}, "rejected": []}


class Explainer:
    """Explains recorded decisions; versions that are served no longer are read from disk.

    Args:
        registry: where versions lie.
        live: the model being served now, or None.
        known_buyers: what is known of the buyers of pseudonyms; blocks.
    """

    def __init__(
        self,
        registry: Registry,
        live: Callable[[], Model | None],
        known_buyers: Callable[[Sequence[BuyerQuery]], Sequence[KnownBuyer]],
    ) -> None:
        self._live, self._known_buyers = live, known_buyers
        self._load = lru_cache(_PAST_MODELS)(registry.load)

    def explain(self, decision: Decision, most: int) -> dict[str, object]:
        """The decision with all that explains it, and at most `most` rejected candidates."""
        return {**explained(decision), "explanation": self._explanation(decision, most)}

    def _explanation(self, decision: Decision, most: int) -> dict[str, object]:
        version = decision.model_version
        if version is None:
            return {
                "status": "no_model",
                "message": "no model made this decision",
                **_NOTHING,
            }
        try:
            model = self._model(version)
        except ModelNotFound:
            return {
                "status": "model_gone",
                "message": f"model {version} is no longer on disk, so what it rejected cannot"
                " be told; the offers are as they were recorded",
                **_NOTHING,
            }
        except ModelError as error:
            return {"status": "model_unusable", "message": error.message, **_NOTHING}
        slate = _asked_again(model, decision, self._bought(model, decision))
        return _told(model, decision, slate, most)

    def _bought(self, model: Model, decision: Decision) -> list[Bought]:
        """What the customer had bought by then since the model was trained."""
        if decision.customer_id is None:
            return []
        since = model.customers.known_until if model.customers is not None else 0
        query = BuyerQuery("", customer_id=decision.customer_id, bought_after=since)
        [buyer] = self._known_buyers([query])
        return [order for order in buyer.purchases if order[0] < decision.occurred_at]

    def _model(self, version: str) -> Model:
        live = self._live()
        return live if live is not None and live.version == version else self._load(version)


def _asked_again(model: Model, decision: Decision, bought: list[Bought]) -> Slate:
    """The slate of the decision's own cart, customer, moment and limits.

    Where limits were not recorded (imported decisions), as many of each kind as were offered.
    """
    limits = decision.limits or Limits(
        len(_offered(decision, "cross_sell")), len(_offered(decision, "upsell"))
    )
    return build_slate(
        recommenders_of(model),
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


def _offered(decision: Decision, kind: Kind) -> list[str]:
    return [offer.item_id for offer in decision.offers if offer.kind == kind]


def _told(model: Model, decision: Decision, slate: Slate, most: int) -> dict[str, object]:
    ids = model.catalogue.items
    offered = {(offer.kind, offer.item_id) for offer in decision.offers}
    again = {
        *(("cross_sell", ids[chosen.item]) for chosen in slate.cross_sell),
        *(("upsell", ids[chosen.item]) for chosen in slate.upsell),
    }
    rejected = [each for each in slate.rejected if (each.kind, ids[each.item]) not in offered]
    same = again == offered
    return {
        "status": "complete" if same else "differs",
        "message": None
        if same
        else "asked again, this model offers something else: the decision was imported, its call"
        " said what was not recorded, or another release of the software made it",
        "pinned_item_ids": [ids[chosen.item] for chosen in slate.cross_sell if chosen.pinned],
        "counts": dict(Counter(each.reason.code for each in rejected)),
        "rejected": [_entry(model, each) for each in _foremost(rejected, most)],
    }


def _foremost(rejected: Sequence[Rejected], most: int) -> list[Rejected]:
    """The best, but of every reason at least one: the question is often about a rare one."""
    first: dict[Reason, int] = {}
    for place, each in enumerate(rejected):
        first.setdefault(each.reason, place)
    heads = set(first.values())
    places = sorted(range(len(rejected)), key=lambda place: (place not in heads, place))
    return [rejected[place] for place in sorted(places[:most])]


def _entry(model: Model, rejected: Rejected) -> dict[str, object]:
    catalogue = model.catalogue
    item_id = catalogue.items[rejected.item]
    return {
        "kind": rejected.kind,
        "item_id": item_id,
        "name": catalogue.names[rejected.item] or item_id,
        "score": round(rejected.score, 6),
        "reason": rejected.reason.code,
    }
