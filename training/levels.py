"""The same orders at a coarser level: families in place of items."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from mersalg.engine.catalogue import UNKNOWN, Catalogue
from mersalg.engine.errors import DataError
from mersalg.training.keyed import medians_of
from mersalg.training.reading.catalogue_file import catalogue_of_ids

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
    catalogue, family = dataset.catalogue, dataset.catalogue.family
    n_families = len(catalogue.family_names)
    if not (family >= 0).any():
        raise DataError("the catalogue names no families to rank")
    lines = dataset.lines.assign(item=family[dataset.lines["item"].to_numpy()])
    lines = lines[lines["item"] >= 0].drop_duplicates(["order", "item"]).reset_index(drop=True)
    return replace(
        dataset,
        catalogue=_families(catalogue, n_families),
        lines=lines,
        baskets=dataset.baskets.by_group(family, n_families),
    )


def _families(catalogue: Catalogue, n_families: int) -> Catalogue:
    members = np.argsort(catalogue.family, kind="stable")
    members = members[catalogue.family[members] >= 0]
    first = np.searchsorted(catalogue.family[members], np.arange(n_families))
    priced = members[catalogue.price_minor[members] > 0]
    medians = medians_of(catalogue.family[priced], catalogue.price_minor[priced], n_families)
    price = np.where(np.isnan(medians), UNKNOWN, medians).astype(np.int64)
    texts = list(catalogue.family_names)
    return replace(
        catalogue_of_ids(pa.array(texts, pa.large_string()), catalogue.currency),
        price_minor=price,
        category=catalogue.category[members[np.minimum(first, len(members) - 1)]],
        category_names=catalogue.category_names,
    )
