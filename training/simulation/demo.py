"""The demo's whole loop: train, serve, let simulated buyers check out, report.

Its shop is Complete Journey parted in time, one part to learn from, one to replay; both parts are
those of the same households: of a sample, or of all.
"""

from __future__ import annotations

import math
import shutil
import tempfile
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as parquet

from mersalg.engine.catalogue import Catalogue
from mersalg.engine.config import load_config
from mersalg.engine.errors import ServiceFailed
from mersalg.engine.progress import Progress
from mersalg.engine.registry import Registry
from mersalg.engine.words import counted
from mersalg.training.pipeline import BACK_TEST_SAMPLES, train
from mersalg.training.reading.arrow import pc
from mersalg.training.reading.dataset import load_dataset
from mersalg.training.simulation.complete_journey import (
    FIRST_DAY,
    N_HOUSEHOLDS,
    N_LINES,
    TEST_DAYS,
    stated,
    write_shop,
)
from mersalg.training.simulation.local_service import HttpService, LocalService, require_http_client
from mersalg.training.simulation.replay import Visits, replay
from mersalg.training.simulation.shoppers import Behaviour, Outcome, Truth

LEARNT, HELD_OUT = "learnt", "held_out"
"""Names of the shop files: of what the model is trained on, and of who shops in the demo."""
SAMPLE_HOUSEHOLDS = 400
"""As few as still make sensible offers."""
_BACK_TEST_OF_SAMPLE = 1_000

N_SHOPPERS = {"sample": 1_500, "full": 6_000}
"""Checkouts to simulate where nobody says."""

# About how long the steps take on two slow cores, in seconds.
_PREPARING = 8
_TRAINING = ((0, SAMPLE_HOUSEHOLDS, N_HOUSEHOLDS), (0, 75, 290))
_STARTING, _CHECKOUT = 6, 0.015
_REPORTING = 3

_SAMPLES = 5
_CART_SIZES = range(2, 5)
_MIN_LIFT, _MIN_ORDERS = 2, 50
"""Of what speaks for itself: less lift is mere popularity, fewer orders one household's habit."""


@dataclass(frozen=True, slots=True)
class DemoShop:
    """Paths of the two parts, each a shop file of its own, and of the versions."""

    folder: Path
    n_households: int

    @property
    def models(self) -> Path:
        """Folder of models."""
        return self.folder / "models"

    @property
    def is_sample(self) -> bool:
        """Whether some households are left out."""
        return self.n_households < N_HOUSEHOLDS

    def n_lines(self) -> int:
        """Return the number of order lines."""
        return parquet.read_metadata(self.folder / "orders.parquet").num_rows

    def sentence(self) -> str:
        """Return the size of the data in words."""
        return f"{stated(self.n_households)}; {self.n_lines():,} of {N_LINES:,} order lines"

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON holds it."""
        n_lines = self.n_lines()
        return {
            "is_sample": self.is_sample,
            "households": self.n_households,
            "share_of_households": self.n_households / N_HOUSEHOLDS,
            "order_lines": n_lines,
            "share_of_order_lines": n_lines / N_LINES,
        }


def prepare_shop(folder: Path, progress: Progress, n_households: int) -> DemoShop:
    """Write both parts below `folder` where they are not there already.

    All households, the sample and samples of other sizes have folders of their own, so that none
    replaces another.

    Raises MersalgError: the demo's data are not installed.
    """
    usual = {N_HOUSEHOLDS: "full", SAMPLE_HOUSEHOLDS: "sample"}
    shop = DemoShop(folder / usual.get(n_households, f"sample-{n_households}"), n_households)
    with progress.task("Preparing Complete Journey"):
        shop_file = write_shop(shop.folder, shop.n_households)
        for name in (LEARNT, HELD_OUT):
            _write_part(shop.folder, shop_file, name)
    return shop


def _write_part(folder: Path, shop_file: Path, name: str) -> None:
    text = shop_file.read_text(encoding="utf-8").replace('"orders.parquet"', f'"{name}.parquet"')
    part_file, orders_file = folder / f"{name}.toml", folder / f"{name}.parquet"
    source = folder / "orders.parquet"
    if (
        part_file.exists()
        and part_file.read_text(encoding="utf-8") == text
        and orders_file.exists()
        and orders_file.stat().st_mtime >= source.stat().st_mtime
    ):
        return
    orders = parquet.read_table(source)
    days = pc.days_between(
        FIRST_DAY.replace(tzinfo=None), orders["transaction_timestamp"].cast("timestamp[us]")
    )
    later = pc.greater_equal(days, TEST_DAYS.start)
    wanted = pc.invert(later) if name == LEARNT else later
    partial = orders_file.with_suffix(".partial")
    parquet.write_table(orders.filter(wanted), partial)
    partial.replace(orders_file)
    part_file.write_text(text, encoding="utf-8")


@dataclass(frozen=True, slots=True)
class DemoResult:
    """Results of the demo."""

    shop: DemoShop
    version: str
    trained: bool
    """Whether the version served was trained in this run."""
    samples: list[dict[str, Any]]
    """A handful of carts by name, with the offers they got, as the API answered them."""
    report: dict[str, Any]
    """The answer of `GET /v1/reports/rates`."""
    truth: Truth
    """What the simulation knows of its buyers, who behaved as `behaviour` says."""
    behaviour: Behaviour
    replay_seconds: float
    url: str

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON holds it."""
        return {
            "simulated": True,
            "acceptance_model": self.behaviour.sentences(),
            "trained_on": self.shop.to_json(),
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
    folder: Path,
    *,
    n_households: int,
    n_shoppers: int | None,
    port: int,
    seed: int,
    progress: Progress,
    announce: Callable[[str], None],
) -> Generator[tuple[DemoResult, LocalService], None, None]:
    """Run the loop in `folder`; the service stays up for as long as the block lasts.

    Without `n_shoppers` as many check out as `N_SHOPPERS` says; `port` 0 takes a free one.
    `announce` takes a line before each step: what begins, what is next, about how long it takes.

    Raises
    ------
    MersalgError
        The demo's data or its HTTP client are not installed.
    ServiceFailed
        The service did not start, or failed a call; its log stays in `folder`.
    """
    require_http_client()
    n_shoppers = n_shoppers or N_SHOPPERS["full" if n_households == N_HOUSEHOLDS else "sample"]
    shoppers = counted(n_shoppers, "simulated shopper")
    steps = iter(
        _lines_of(
            ("prepare the data", _PREPARING),
            ("train, unless an earlier run did", float(np.interp(n_households, *_TRAINING))),
            (f"let {shoppers} check out over HTTP", _STARTING + _CHECKOUT * n_shoppers),
            ("compute both rates", _REPORTING),
        )
    )
    announce(next(steps))
    shop = prepare_shop(folder, progress, n_households)
    announce(f"Complete Journey: {shop.sentence()}")
    announce(next(steps))
    trained = train(
        load_config(shop.folder / f"{LEARNT}.toml"),
        shop.folder,
        shop.models,
        force=True,
        if_changed=True,
        n_back_test=_BACK_TEST_OF_SAMPLE if shop.is_sample else BACK_TEST_SAMPLES,
        progress=progress,
    )
    registry, version = Registry(shop.models), trained.version
    if trained.unchanged:
        announce(f"Version {version} was trained on these data before")
        if not trained.published:
            registry.publish(version)
    announce(next(steps))
    # Every run counts from nothing, and two runs at once do not share a database.
    run_folder = Path(tempfile.mkdtemp(prefix="run-", dir=folder))
    keep = False
    try:
        with LocalService(shop.models, run_folder, port=port, progress=progress) as service:
            model = registry.load(version)
            behaviour = Behaviour()
            with progress.task("Reading held-out orders"):
                later = load_dataset(
                    load_config(shop.folder / f"{HELD_OUT}.toml"), shop.folder, progress
                )
                visits = Visits(later, model.ladders, behaviour, seed).plan(n_shoppers)
            if len(visits) < n_shoppers:
                announce(f"Held out: {counted(len(visits), 'order')}; as many shoppers check out")
            with HttpService(service.url) as http:
                played = replay(visits, http, behaviour, progress)
            announce(next(steps))
            with progress.task("Computing the rates"):
                report = service.get("/v1/reports/rates")
            result = DemoResult(
                shop=shop,
                version=version,
                trained=not trained.unchanged,
                samples=_samples(played.outcomes, model.catalogue),
                report=report,
                truth=played.truth,
                behaviour=behaviour,
                replay_seconds=played.seconds,
                url=service.url,
            )
            yield result, service
    except ServiceFailed:
        keep = True
        raise
    finally:
        if not keep:
            shutil.rmtree(run_folder, ignore_errors=True)


def _lines_of(*steps: tuple[str, float]) -> list[str]:
    """Return a line for each step: what it does, its seconds, and what comes after it."""
    rounded = [round(each) if each < 10 else 5 * round(each / 5) for _, each in steps]
    parts = [f"{what} (about {n} s" for (what, _), n in zip(steps, rounded, strict=True)]
    following = [*(f"; next: {part})" for part in parts[1:]), ""]
    return [
        f"Step {number} of {len(steps)}: {part} on two slow cores){after}"
        for number, (part, after) in enumerate(zip(parts, following, strict=True), start=1)
    ]


def _samples(outcomes: list[Outcome], catalogue: Catalogue) -> list[dict[str, Any]]:
    """Return a handful of carts with offers of both kinds, those that show most, no item twice.

    A person judges complements of another sort than the cart more easily than a second cereal
    beside the first, and an upgrade by what it gains.
    """
    both = [
        outcome
        for outcome in outcomes
        if len({offer["kind"] for offer in outcome.answer["offers"]}) == 2
    ]
    both.sort(key=lambda outcome: _clarity(outcome, catalogue), reverse=True)
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


def _clarity(outcome: Outcome, catalogue: Catalogue) -> tuple[bool, int, float]:
    """(whether the cart is read at a glance, offers that speak for themselves, their counts)."""
    families = {_family(catalogue, item_id) for item_id in outcome.visit.cart}
    clear, weight = 0, 0.0
    for offer in outcome.answer["offers"]:
        if offer["kind"] == "upsell":
            clear += bool(offer["gains"])
            continue
        evidence = offer["evidence"]
        if (
            evidence["antecedent_item_ids"]
            and evidence["lift_lower"] >= _MIN_LIFT
            and evidence["n_antecedent"] >= _MIN_ORDERS
            and _family(catalogue, offer["item_id"]) not in families
        ):
            clear += 1
            weight += math.log(evidence["n_joint"])
    return len(outcome.visit.cart) in _CART_SIZES, clear, weight


def _family(catalogue: Catalogue, item_id: str) -> int | None:
    index = catalogue.items.index_of(item_id)
    return None if index is None else int(catalogue.family[index])


def _readable(offer: dict[str, Any], catalogue: Catalogue) -> dict[str, Any]:
    """Return the offer as answered, with the names of its items beside their ids."""
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
