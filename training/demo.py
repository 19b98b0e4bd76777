"""The demo's whole loop: train, serve, let simulated buyers check out, report."""

from __future__ import annotations

import math
import shutil
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.catalogue import Catalogue
from engine.errors import ServiceFailed
from engine.progress import Progress
from engine.registry import Registry
from training.demo_shop import DemoShop, held_out, prepare_shop, train_once
from training.local_service import LocalService
from training.replay import HttpService, replay, require_http_client
from training.shoppers import Behaviour
from training.simulation import Outcome
from training.truth import Truth
from training.visits import Visits

_SAMPLES = 5
_CART_SIZES = range(2, 5)


@dataclass(frozen=True, slots=True)
class DemoResult:
    """What the demo has to show.

    Attributes:
        version: the model served.
        trained: whether it was trained in this run.
        samples: a handful of carts by name, with the offers they got, as the API answered them.
        report: the answer of `GET /v1/reports/rates`.
        truth: what the simulation knows of its buyers.
        behaviour: how they were made to behave.
        replay_seconds: how long the calls took.
        url: where the service listens.
    """

    version: str
    trained: bool
    samples: list[dict[str, Any]]
    report: dict[str, Any]
    truth: Truth
    behaviour: Behaviour
    replay_seconds: float
    url: str

    def to_json(self) -> dict[str, Any]:
        return {
            "simulated": True,
            "acceptance_model": self.behaviour.sentences(),
            "model_version": self.version,
            "trained": self.trained,
            "samples": self.samples,
            "report": self.report,
            "truth": self.truth.to_json(),
            "replay_seconds": round(self.replay_seconds, 1),
            "url": self.url,
        }


@contextmanager
def running_demo(
    folder: Path, *, n_shoppers: int, port: int, seed: int, progress: Progress
) -> Generator[tuple[DemoResult, LocalService], None, None]:
    """Run the loop in `folder`; the service stays up for as long as the block lasts.

    Args:
        port: of the service; 0 takes a free one.
        seed: other seeds are other shoppers.

    Raises:
        MersalgError: the demo's data or its HTTP client are not installed.
        ServiceFailed: the service did not start, or failed a call; its log stays in `folder`.
    """
    require_http_client()
    folder.mkdir(parents=True, exist_ok=True)
    shop = prepare_shop(folder, progress)
    version, trained = train_once(shop, progress)
    # Every run counts from nothing, and two runs at once do not share a database.
    run_folder = Path(tempfile.mkdtemp(prefix="run-", dir=folder))
    keep = False
    try:
        with LocalService(shop.models, run_folder, port=port, progress=progress) as service:
            yield _replay(shop, version, trained, service, n_shoppers, seed, progress), service
    except ServiceFailed:
        keep = True
        raise
    finally:
        if not keep:
            shutil.rmtree(run_folder, ignore_errors=True)


def _replay(
    shop: DemoShop,
    version: str,
    trained: bool,
    service: LocalService,
    n_shoppers: int,
    seed: int,
    progress: Progress,
) -> DemoResult:
    model = Registry(shop.models).load(version)
    behaviour = Behaviour()
    with progress.task("Reading held-out orders"):
        visits = Visits(held_out(shop, progress), model.ladders, behaviour, seed).plan(n_shoppers)
    with HttpService(service.url) as http:
        played = replay(visits, http, behaviour, progress)
    with progress.task("Computing the rates"):
        report = service.get("/v1/reports/rates")
    return DemoResult(
        version=version,
        trained=trained,
        samples=_samples(played.outcomes, model.catalogue),
        report=report,
        truth=played.truth,
        behaviour=behaviour,
        replay_seconds=played.seconds,
        url=service.url,
    )


def _samples(outcomes: list[Outcome], catalogue: Catalogue) -> list[dict[str, Any]]:
    """A handful of carts with offers of both kinds: those that tell most, and not one item over.

    A person judges complements of another sort than the cart more easily than a second cereal
    beside the first, and an upgrade by what it gains.
    """
    both = [
        outcome
        for outcome in outcomes
        if len({offer["kind"] for offer in outcome.answer["offers"]}) == 2
    ]
    both.sort(key=lambda outcome: _tells(outcome, catalogue), reverse=True)
    samples: list[dict[str, Any]] = []
    seen: set[str] = set()
    for outcome in both:
        offers, cart = outcome.answer["offers"], outcome.visit.cart
        items = {*cart, *(offer["item_id"] for offer in offers)}
        if seen.isdisjoint(items):
            samples.append(
                {
                    "cart": [_name(catalogue, item_id) for item_id in cart],
                    "offers": [_readable(offer, catalogue) for offer in offers],
                }
            )
            seen |= items
        if len(samples) == _SAMPLES:
            break
    return samples


def _tells(outcome: Outcome, catalogue: Catalogue) -> tuple[bool, int, float]:
    """(whether the cart can be read at a glance, offers that speak for themselves, their lift)."""
    families = {_family(catalogue, item_id) for item_id in outcome.visit.cart}
    clear, lift = 0, 0.0
    for offer in outcome.answer["offers"]:
        if offer["kind"] == "upsell":
            clear += bool(offer["gains"])
            continue
        evidence = offer["evidence"]
        if evidence["antecedent_item_ids"] and _family(catalogue, offer["item_id"]) not in families:
            clear += 1
            lift += math.log(evidence["lift_lower"])
    return len(outcome.visit.cart) in _CART_SIZES, clear, lift


def _family(catalogue: Catalogue, item_id: str) -> int | None:
    index = catalogue.items.index_of(item_id)
    return None if index is None else int(catalogue.family[index])


def _readable(offer: dict[str, Any], catalogue: Catalogue) -> dict[str, Any]:
    """The offer as answered, with the names of the items it speaks of beside their ids."""
    named = dict(offer)
    if offer["kind"] == "upsell":
        named["replaces_name"] = _name(catalogue, offer["replaces"]["item_id"])
    else:
        antecedent = offer["evidence"]["antecedent_item_ids"]
        named["antecedent_names"] = [_name(catalogue, item_id) for item_id in antecedent]
    return named


def _name(catalogue: Catalogue, item_id: str) -> str:
    index = catalogue.items.index_of(item_id)
    return item_id if index is None else catalogue.names[index]
