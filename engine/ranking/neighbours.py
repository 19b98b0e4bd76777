"""Sparse item-item model: the strongest neighbours of each item."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mersalg.engine.arrays import Ragged


@dataclass(frozen=True, slots=True)
class Neighbours:
    """The neighbours of each item.

    Attributes
    ----------
    items
        Ragged of int32, n_items rows of n values in all, ascending inside a row.
    weight : float32 (n,)
        What the row's item adds to the score of each (EASE: Steck, "Embarrassingly Shallow
        Autoencoders for Sparse Data", 2019); 0 where only counts speak.
    n_joint : int32 (n,)
        Orders that hold both; 0 where too few to be counted.
    """

    items: Ragged[np.int32]
    weight: NDArray[np.float32]
    n_joint: NDArray[np.int32]
