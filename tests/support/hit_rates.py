"""What a back-test compares."""

from __future__ import annotations

from mersalg.training.evaluation import BackTest


def is_never_worse(tested: BackTest) -> bool:
    """Return whether no ranking finds more than what is served, by more than a standard error."""
    for rates in (tested.hit_rates, tested.discovery):
        served = rates["mersalg"]
        error = served.standard_error or 0
        if any(rate.hits > served.hits + error * served.n for rate in rates.values()):
            return False
    return True
