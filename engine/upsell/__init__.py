"""Upsell: price tiers inside a family and the better version they suggest.

Start at `recommender`, which chooses upgrades from the ladders of `tiers`. What an upgrade gains is
read by `gains` (with `numbers`), how much an item holds by `packs` (`properties` says
what is no amount), what kind of thing it is by `traits`; `readings` keeps both with a version.
"""
