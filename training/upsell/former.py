"""Where the version before cut its tiers, so that a new one does not cut elsewhere for nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mersalg.engine.upsell.tiers import Families

if TYPE_CHECKING:
    from mersalg.engine.catalogue import Catalogue
    from mersalg.engine.upsell.tiers import Ladders
    from mersalg.training.upsell.grouping import Groups

Key = tuple[int, str]


@dataclass(frozen=True, slots=True)
class FormerCuts:
    """Prices between tiers, float64 ascending, by how the family is known and its name."""

    cuts: Mapping[Key, NDArray[np.float64]]

    def of(self, groups: Groups, group: int) -> NDArray[np.float64] | None:
        """None where there was no such family."""
        return self.cuts.get((int(groups.method[group]), groups.names[group]))

    @classmethod
    def of_ladders(cls, catalogue: Catalogue, ladders: Ladders) -> FormerCuts:
        """Between two tiers: the geometric mean of the prices on either side.

        A ladder whose tiers do not follow prices (the shop gave them) has no cuts.
        """
        families: Families | None = ladders.families
        if families is None:
            return nothing_former()
        cuts: dict[Key, NDArray[np.float64]] = {}
        for ladder in range(ladders.n_ladders):
            members = ladders.members[ladder]
            tiers = ladders.tier[members].astype(np.int64)
            steps = np.flatnonzero(np.diff(tiers))
            if (np.diff(tiers) < 0).any():
                continue
            log_price = np.log(catalogue.price_minor[members].astype(np.float64))
            key = (int(families.method[ladder]), families.names[ladder])
            cuts[key] = np.exp((log_price[steps] + log_price[steps + 1]) / 2)
        return cls(cuts)


def nothing_former() -> FormerCuts:
    """No version came before."""
    return FormerCuts({})
