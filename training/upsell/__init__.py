"""Upsell learned from orders: families, tiers, and which better version to offer.

Start at `families`, which says what may replace what (by the words of `names`), then `tiers`, which
cuts the prices of a family. `events` finds what customers bought next; `memory` holds all of it,
so that any moment can look back, and `model_fit` makes the two models of it. `outcomes` calibrates
them on offers; `evaluation` holds the back-tests.
"""
