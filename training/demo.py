"""The demo's whole loop: train, serve, let simulated buyers check out, report."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.catalogue import Catalogue
from engine.progress import Progress
from engine.registry import Registry
from training.demo_shop import DemoShop, held_out, prepare_shop, train_once
from training.local_service import LocalService
from training.replay import HttpService, replay
from training.shoppers import Behaviour
from training.simulation import Outcome
from training.truth import Truth
from training.visits import Visits

_SAMPLES = 5
_LONGEST_CART = 8


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
        MersalgError: the demo's data are not installed.
        ServiceFailed: the service did not start, or failed a call; the message names its log.
    """
    folder.mkdir(parents=True, exist_ok=True)
    shop = prepare_shop(folder, progress)
    version, trained = train_once(shop, progress)
    # Every run counts from nothing, and two runs at once do not share a database.
    run_folder = Path(tempfile.mkdtemp(prefix="run-", dir=folder))
    with LocalService(shop.models, run_folder, port=port, progress=progress) as service:
        yield _replay(shop, version, trained, service, n_shoppers, seed, progress), service
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
    with HttpService(service.url, storefront_key=None, server_key=None) as http:
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
    """The first few small carts that got offers of both kinds, rules behind the cross-sell."""
    samples: list[dict[str, Any]] = []
    for outcome in outcomes:
        offers = outcome.answer["offers"]
        kinds = {offer["kind"] for offer in offers}
        proven = any(offer.get("evidence", {}).get("antecedent_item_ids") for offer in offers)
        if len(kinds) == 2 and proven and len(outcome.visit.cart) <= _LONGEST_CART:
            samples.append(
                {
                    "cart": [_name(catalogue, item_id) for item_id in outcome.visit.cart],
                    "offers": [_readable(offer, catalogue) for offer in offers],
                }
            )
        if len(samples) == _SAMPLES:
            break
    return samples


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
