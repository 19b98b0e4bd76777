"""Mining, price tiers and recommenders for people who work with data frames.

These are functions and estimators of `import mersalg`, whose list is in `engine/_package.py`. They
run the code of the command line: frames become the tables that files are read into. They take
pandas, Polars and Arrow frames and return pandas frames.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, Self, get_args

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from mersalg.engine import money
from mersalg.engine.arrays import Float64s, Int64s
from mersalg.engine.facts import CartLine, Mode
from mersalg.engine.progress import SilentProgress
from mersalg.engine.slate import Recommenders, Slate, build_slate
from mersalg.training.evaluation import back_test
from mersalg.training.frames import (
    FINE,
    baskets_of_orders,
    carts_of,
    dataset_of,
    families_and_prices,
)
from mersalg.training.mining.protocol import default_min_count, get_engine
from mersalg.training.mining.search import mine_rules
from mersalg.training.model_fit import ladders_of
from mersalg.training.pipeline import BACK_TEST_SAMPLES, fit_chosen
from mersalg.training.rule_files import rules_to_arrow, strongest_first
from mersalg.training.upsell.tiers import tiers_of_prices


def mine(
    orders: Any,
    min_count: int | None = None,
    max_length: int = 3,
    *,
    max_q: float = 0.05,
    all_rules: bool = False,
) -> pd.DataFrame:
    """Return single-consequent rules of order lines, the columns of `rules.parquet`.

    Parameters
    ----------
    orders : frame or sequence of sequences
        With the columns `order_id` and `item_id`; or a list of baskets.
    min_count : int or None
        Orders that must hold all items of a rule; None takes 0.03% of them, but at least 5.
    max_length : int
        The maximum number of items of a rule, consequent included.
    max_q : float
        False discovery rate that a rule must stay under.
    all_rules : bool
        Whether to keep rules that may be chance.

    Raises
    ------
    ValueError
        `min_count` or `max_length` is no whole number of at least 1 or 2, or `max_q` no share.
    """
    for name, number, least in (("min_count", min_count, 1), ("max_length", max_length, 2)):
        if number is not None and (number < least or number != int(number)):
            raise ValueError(f"{name} must be a whole number of at least {least}, not {number}")
    if not 0 <= max_q <= 1:
        raise ValueError(f"max_q must be from 0 to 1, not {max_q}")
    baskets, ids = baskets_of_orders(orders)
    mined = mine_rules(
        baskets,
        get_engine("local"),
        min_count=min_count or default_min_count(baskets.n_orders),
        max_length=max_length,
        progress=SilentProgress(),
        max_q=max_q,
        all_rules=all_rules,
    )
    order = strongest_first(mined.table, ids)
    table = rules_to_arrow(mined.table.take(order), mined.p[order], mined.q[order], ids)
    frame: pd.DataFrame = table.to_pandas()
    return frame


class PriceTiers(BaseEstimator):
    """Price tiers of items inside their families, by the rule that training uses.

    Attributes
    ----------
    levels_ : dict of str to float array
        Of each family the least price of each tier, ascending.
    """

    levels_: dict[str, Float64s]

    def fit(self, items: Any, y: object = None) -> Self:
        """Find the tiers of each family of `items`, a frame with `family` and `price`."""
        family, price = families_and_prices(items)
        self.levels_ = {}
        for name in sorted(set(family[(price > 0) & (family != "")].tolist())):
            own = np.sort(price[(family == name) & (price > 0)])
            tiers = tiers_of_prices(np.rint(own * FINE).astype(np.int64))
            self.levels_[str(name)] = own[np.searchsorted(tiers, np.arange(int(tiers[-1]) + 1))]
        return self

    def predict(self, items: Any) -> Int64s:
        """Return the tier of each item, 0 the lowest; -1 without a price or a known family.

        A price between two tiers belongs to the lower one.
        """
        check_is_fitted(self)
        family, price = families_and_prices(items)
        tiers = np.full(len(price), -1, dtype=np.int64)
        for name, levels in self.levels_.items():
            own = (family == name) & (price > 0)
            tiers[own] = np.maximum(np.searchsorted(levels, price[own], side="right") - 1, 0)
        return tiers


class _Recommender(BaseEstimator):
    """Fits a whole model to order lines and the catalogue, as `mersalg train` does."""

    _kind: Literal["cross_sell", "upsell"]
    currency: str
    settings: dict[str, Any] | None

    def fit(self, orders: Any, items: Any = None) -> Self:
        """Fit to order lines and, where it is known, the catalogue.

        Parameters
        ----------
        orders : frame
            `order_id`, `item_id` and, where known, `customer_id`, `ordered_at`, `quantity`,
            `unit_price`, `discount`, `store_id`.
        items : frame or None
            `item_id` and, where known, `name`, `category`, `family`, `price`, `brand`,
            `pack_size`, `cost`, `in_stock`, `active`; other columns are attributes to compare.

        Raises
        ------
        ConfigError
            A setting is wrong.
        DataError
            No order or no item can be used.
        """
        dataset, config = dataset_of(orders, items, self.currency, self.settings)
        given = (dataset, config, get_engine("local"), SilentProgress())
        ladders = ladders_of(dataset, SilentProgress())
        tested = back_test(*given, n_samples=BACK_TEST_SAMPLES, fitted_ladders=ladders)
        kept = {"fitted_ladders": ladders, "customer_key": b"in memory"}
        self.model_ = fit_chosen(tested, *given, **kept).model
        self.metrics_ = tested.to_json() if tested else {}
        self.quality_ = dataset.quality.to_json()
        return self

    def _slates(self, carts: Any, k: int) -> Iterator[tuple[Any, Slate]]:
        check_is_fitted(self)
        if k < 1:
            raise ValueError(f"k must be at least 1, not {k}")
        recommenders = Recommenders.prepare(self.model_)
        mode: Mode = getattr(self, "mode", "discovery")
        if mode not in get_args(Mode):
            raise ValueError(f"mode must be one of {', '.join(get_args(Mode))}, not {mode!r}")
        limits: dict[str, Any] = {"cross_sell": 0, "upsell": 0, self._kind: k}
        for cart_id, item_ids in carts_of(carts):
            lines = [CartLine(item_id, 1, None) for item_id in item_ids]
            yield cart_id, build_slate(recommenders, lines, **limits, mode=mode)


class CrossSellRecommender(_Recommender):
    """Items that complement a cart, by rules and the fitted ranking.

    Parameters
    ----------
    mode : str
        `discovery` or `complete`; they differ where a customer's past is known.
    currency : str
        ISO 4217 code of the prices.
    settings : dict or None
        Sections of a shop file, such as `{"training": {"min_count": 10}}`.

    Attributes
    ----------
    model_ : Model
    metrics_, quality_ : dict
        The back-test, and what of the input was left out.
    """

    _kind = "cross_sell"

    def __init__(
        self,
        mode: Mode = "discovery",
        currency: str = "EUR",
        settings: dict[str, Any] | None = None,
    ) -> None:
        self.mode = mode
        self.currency = currency
        self.settings = settings

    def recommend(self, carts: Any, k: int = 10) -> pd.DataFrame:
        """Return at most `k` complements of each cart, best first.

        Parameters
        ----------
        carts : frame or list of lists
            `cart_id` and `item_id`; or the items of each cart, whose places are the cart ids.
        k : int
            Maximum number of complements of a cart.

        Returns
        -------
        pandas.DataFrame
            `cart_id, rank, item_id, score, antecedent_item_ids, n_joint, n_antecedent,
            confidence, lift, lift_lower`.
        """
        columns = (
            *("cart_id", "rank", "item_id", "score", "antecedent_item_ids"),
            *("n_joint", "n_antecedent", "confidence", "lift", "lift_lower"),
        )
        rows: list[tuple[Any, ...]] = []
        for cart_id, slate in self._slates(carts, k):
            names = self.model_.catalogue.items
            for rank, each in enumerate(slate.cross_sell, start=1):
                counts = each.counts
                antecedent = tuple(names[item] for item in counts.antecedent)
                measures = (getattr(counts, name) for name in columns[5:])
                rows.append((cart_id, rank, names[each.item], each.score, antecedent, *measures))
        return pd.DataFrame(rows, columns=list(columns))


class UpsellRecommender(_Recommender):
    """Better versions of items in a cart, and what is gained.

    Parameters
    ----------
    currency : str
        ISO 4217 code of the prices.
    settings : dict or None
        Sections of a shop file, such as `{"offers": {"max_price_ratio": 2}}`.
    """

    _kind = "upsell"

    def __init__(self, currency: str = "EUR", settings: dict[str, Any] | None = None) -> None:
        self.currency = currency
        self.settings = settings

    def recommend(self, carts: Any, k: int = 1) -> pd.DataFrame:
        """Return at most `k` better versions for each cart, best first.

        Returns
        -------
        pandas.DataFrame
            `cart_id, rank, item_id, score, replaces_item_id, price_difference, gains, losses`;
            gains and losses are tuples of (attribute, from, to).
        """
        columns = (
            *("cart_id", "rank", "item_id", "score", "replaces_item_id", "price_difference"),
            *("gains", "losses"),
        )
        rows: list[tuple[Any, ...]] = []
        for cart_id, slate in self._slates(carts, k):
            names, currency = self.model_.catalogue.items, self.model_.catalogue.currency
            for rank, each in enumerate(slate.upsell, start=1):
                difference = money.to_decimal(each.price_difference_minor, currency)
                changes = (
                    tuple((change.attribute, change.before, change.after) for change in changes)
                    for changes in (each.comparison.gains, each.comparison.losses)
                )
                offer = (names[each.item], each.score, names[each.base.item], difference)
                rows.append((cart_id, rank, *offer, *changes))
        return pd.DataFrame(rows, columns=list(columns))
