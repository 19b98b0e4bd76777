"""Fitting networks for a chosen number of epochs."""

from __future__ import annotations

import warnings
from collections.abc import Generator
from contextlib import contextmanager


@contextmanager
def chosen_epochs() -> Generator[None, None, None]:
    """The number of epochs is chosen, as more would fit the noise: that a fit has not converged is
    no news. But scikit-learn also turns Ctrl-C into a warning and goes on with half a network.

    Raises:
        KeyboardInterrupt: somebody wants the fit to end.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.filterwarnings("error", message="Training interrupted", category=UserWarning)
        try:
            yield
        except UserWarning as error:
            raise KeyboardInterrupt from error
