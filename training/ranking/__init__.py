"""Fitting the ranking of complements: item-item models, signals, examples and scorers."""
