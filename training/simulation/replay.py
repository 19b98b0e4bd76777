"""Makes visits of the baskets of a data set, and plays many at once against one service."""

from __future__ import annotations

import random
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np

from mersalg.engine.catalogue import UNKNOWN
from mersalg.engine.progress import Progress
from mersalg.engine.upsell.tiers import Ladders
from mersalg.training.reading.dataset import Dataset
from mersalg.training.simulation.local_service import HttpService
from mersalg.training.simulation.shoppers import Behaviour, Outcome, Truth, Visit, play

_MAX_UNITS = 20  # a shopper's line; larger quantities in order files are wholesale or errors
_VISITS_A_BATCH = 20


@dataclass(slots=True)
class Visits:
    """Makes visits from the orders of a data set; ladders tell where trading up is possible."""

    dataset: Dataset
    ladders: Ladders
    behaviour: Behaviour = field(default_factory=Behaviour)
    seed: int = 1

    def plan(self, n_visits: int) -> list[Visit]:
        """`n_visits` visits, or fewer where the data set has fewer orders of two or more items.

        Orders are drawn without replacement and kept in time order.
        """
        baskets = self.dataset.baskets
        usable = np.flatnonzero(baskets.lengths >= 2)
        if len(usable) > n_visits:
            drawn = np.random.default_rng(self.seed).choice(len(usable), n_visits, replace=False)
            usable = usable[np.sort(drawn)]
        units = self._units(usable)
        return [self._visit(int(order), units[int(order)]) for order in usable]

    def _units(self, orders: np.ndarray[Any, Any]) -> dict[int, dict[int, int]]:
        """Order -> item -> whole units bought."""
        lines = self.dataset.lines
        wanted = lines[lines["order"].isin(orders)]
        totals = wanted.groupby(["order", "item"], sort=True)["quantity"].sum()
        units_of_order: dict[int, dict[int, int]] = {}
        for (order, item), quantity in totals.items():  # type: ignore[misc]
            units = min(max(round(float(quantity)), 1), _MAX_UNITS)
            units_of_order.setdefault(int(order), {})[int(item)] = units
        return units_of_order

    def _visit(self, order: int, bought: Mapping[int, int]) -> Visit:
        catalogue, price = self.dataset.catalogue, self.dataset.catalogue.price_minor
        order_id = self.dataset.order_ids[order]
        draw = random.Random(f"{self.seed}/{order_id}")  # noqa: S311
        items = list(bought)
        draw.shuffle(items)
        # Items on a ladder go into the cart first, so that there is something to upsell.
        items.sort(key=lambda item: self.ladders.family[item] < 0)
        n_in_mind = min(max(round(self.behaviour.in_mind * len(items)), 1), len(items) - 1)
        in_cart = items[: len(items) - n_in_mind]
        cart = {item: bought[item] for item in in_cart}
        if draw.random() < self.behaviour.trade_up_in_mind:
            swap = self._cheaper_sibling(in_cart, bought, draw)
            if swap is not None:
                better, base = swap
                cart = {base if item == better else item: bought[item] for item in in_cart}
        customer = int(self.dataset.customer[order])
        names = {item: catalogue.items[item] for item in {*bought, *cart}}
        return Visit(
            checkout_id=f"visit-{order_id}",
            customer_id=self.dataset.customer_ids[customer] if customer >= 0 else None,
            session_id=f"session-{order_id}",
            currency=catalogue.currency,
            cart={names[item]: units for item, units in cart.items()},
            intended={names[item]: bought[item] for item in sorted(bought)},
            prices={
                name: None if price[item] == UNKNOWN else int(price[item])
                for item, name in names.items()
            },
            seed=self.seed,
        )

    def _cheaper_sibling(
        self, in_cart: Sequence[int], bought: Mapping[int, int], draw: random.Random
    ) -> tuple[int, int] | None:
        """(item of the cart, cheaper item of a lower tier of its ladder), or None."""
        ladders, prices = self.ladders, self.dataset.catalogue.price_minor
        for item in in_cart:
            ladder = int(ladders.family[item])
            if ladder < 0:
                continue
            cheaper = [
                int(other)
                for other in ladders.members[ladder]
                if ladders.tier[other] < ladders.tier[item]
                and 0 < prices[other] < prices[item]
                and int(other) not in bought
            ]
            if cheaper:
                return item, draw.choice(cheaper)
        return None


@dataclass(frozen=True, slots=True)
class Replay:
    """Results of a replay: the truth, every outcome in the order of the visits, its length."""

    truth: Truth
    outcomes: list[Outcome]
    seconds: float


def replay(
    visits: Sequence[Visit],
    service: HttpService,
    behaviour: Behaviour,
    progress: Progress,
    *,
    n_threads: int = 4,
) -> Replay:
    """Play `visits`, several at a time; the outcomes do not depend on how threads take turns.

    Raises ServiceFailed: the service failed a call or rejected a fact; the replay stops there.
    """
    begun = datetime.now(UTC)
    stopped, lock = threading.Event(), threading.Lock()

    def check_out(batch: Sequence[Visit]) -> list[Outcome]:
        outcomes: list[Outcome] = []
        try:
            for visit in batch:
                # After a failure, or Ctrl-C, the other threads must not play the rest.
                if stopped.is_set():
                    return outcomes
                answer = service.suggest(visit.request())
                outcomes.append(play(visit, answer, behaviour, datetime.now(UTC)))
                with lock:
                    task.advance()
            service.record([event for outcome in outcomes for event in outcome.events])
        except BaseException:
            stopped.set()
            raise
        return outcomes

    starts = range(0, len(visits), _VISITS_A_BATCH)
    batches = [visits[start : start + _VISITS_A_BATCH] for start in starts]
    with (
        progress.task("Shoppers check out", total=len(visits)) as task,
        ThreadPoolExecutor(n_threads) as pool,
    ):
        try:
            outcomes = [outcome for played in pool.map(check_out, batches) for outcome in played]
        finally:
            stopped.set()
    truth = sum((outcome.truth for outcome in outcomes), Truth())
    return Replay(truth, outcomes, (datetime.now(UTC) - begun).total_seconds())
