"""Fitting small networks: for a chosen number of epochs, on one core each."""

from __future__ import annotations

import warnings
from collections.abc import Generator
from contextlib import contextmanager

from threadpoolctl import threadpool_limits


@contextmanager
def chosen_epochs() -> Generator[None, None, None]:
    """Fit networks inside the block for the number of epochs that they state.

    The number is chosen, because more epochs would fit the noise, so the warning that a fit has
    not converged is silenced. scikit-learn also turns an interrupt into a warning and continues
    with a half-fitted network; here the interrupt ends the fit.

    The matrices of one step are small. Threads of the linear algebra library spend far more time
    waiting for each other than on the arithmetic (seven times the CPU on two busy cores), so that
    each fit uses one core. The result then also does not depend on the number of cores.

    Raises
    ------
    KeyboardInterrupt
        The user interrupted the fit.
    """
    with warnings.catch_warnings(), threadpool_limits(limits=1, user_api="blas"):
        warnings.simplefilter("ignore")
        warnings.filterwarnings("error", message="Training interrupted", category=UserWarning)
        try:
            yield
        except UserWarning as error:
            raise KeyboardInterrupt from error
