"""The same orders at a coarser level: families in place of items."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from mersalg.engine.arrays import Ragged
from mersalg.engine.catalogue import UNKNOWN, Catalogue
from mersalg.engine.errors import DataError
from mersalg.engine.orders import Baskets
from mersalg.engine.vocabulary import StringTable, Vocabulary

if TYPE_CHECKING:
    from mersalg.training.reading.dataset import Dataset


def by_family(dataset: Dataset) -> Dataset:
    """Return the data with every family as one item, at the median price of its members.

    Items without a family are left out.

    Raises
    ------
    DataError
        The catalogue names no family.
    """
    catalogue, baskets = dataset.catalogue, dataset.baskets
    family = catalogue.family
    n_families = len(catalogue.family_names)
    if not (family >= 0).any():
        raise DataError("the catalogue names no families to rank")
    of_entry = family[baskets.items].astype(np.int64)
    order = np.repeat(np.arange(baskets.n_orders), np.diff(baskets.indptr))
    lines = dataset.lines.assign(item=family[dataset.lines["item"].to_numpy()])
    lines = lines[lines["item"] >= 0].drop_duplicates(["order", "item"]).reset_index(drop=True)
    return replace(
        dataset,
        catalogue=_families(catalogue, n_families),
        lines=lines,
        baskets=Baskets.from_pairs(
            order[of_entry >= 0], of_entry[of_entry >= 0], baskets.n_orders, n_families
        ),
    )


def _families(catalogue: Catalogue, n_families: int) -> Catalogue:
    members = np.argsort(catalogue.family, kind="stable")
    members = members[catalogue.family[members] >= 0]
    first = np.searchsorted(catalogue.family[members], np.arange(n_families))
    price = np.full(n_families, UNKNOWN, dtype=np.int64)
    bounds = np.append(first, len(members))
    for place in range(n_families):
        known = catalogue.price_minor[members[bounds[place] : bounds[place + 1]]]
        if (known > 0).any():
            price[place] = int(np.median(known[known > 0]))
    texts = list(catalogue.family_names)
    nothing = np.full(n_families, UNKNOWN)
    return Catalogue(
        items=Vocabulary.from_ids(StringTable.from_texts(texts)),
        names=StringTable.from_texts(texts),
        price_minor=price,
        cost_minor=nothing.astype(np.int64),
        category=catalogue.category[members[np.minimum(first, len(members) - 1)]],
        category_names=catalogue.category_names,
        family=nothing.astype(np.int32),
        family_names=StringTable.from_texts([]),
        offerable=np.ones(n_families, dtype=np.bool_),
        attributes={},
        compatible=Ragged.empty(n_families, np.int32),
        currency=catalogue.currency,
    )
