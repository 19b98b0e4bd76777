"""Upsell: price tiers inside a family and the better version they suggest.

Start at `recommender`, which chooses upgrades from the ladders of `tiers`. What an upgrade gains is
read by `gains` (with `numbers` and `labels`), how much an item holds by `packs` (with `properties`),
what kind of thing it is by `traits`; `readings` keeps the last two with a version.
"""
