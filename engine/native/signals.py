"""The signals that fitted networks weigh: of each its name and what it says.

The order of a table is that of the columns that training fits on and that versions store weights
for. The build makes a struct of each table, so that the kernels (`ranking.pyx`) compute the signals
by these names; training has its examples from the same kernels. Standard library only.
"""

from __future__ import annotations

COMPLEMENT = {
    "weight": "sum of the item-item weights from the items of the cart",
    "weight_root": "its signed square root",
    "weight_log": "its logarithm",
    "confidence": "highest share of an item's orders that hold the candidate too",
    "confidence_log": "its logarithm",
    "noisy_or": "sum of -log(1 - confidence)",
    "noisy_or_log": "its logarithm",
    "cosine_log": "logarithm of the sum of n_joint / sqrt(n_item n_candidate)",
    "lift_log": "logarithm of the highest lift, of one joint order less",
    "group_weight": "sum of the group-group weights from the groups in the cart",
    "group_weight_log": "its logarithm",
    "group_to_item_log": "logarithm of group_weight times share",
    "group_held": "logarithm of the items of the cart of the candidate's group",
    "popular": "logarithm of the share of all orders that hold the candidate",
    "recent": "the same of the last orders, half after 14 days",
    "latest": "the same of the last orders, half after 4 days",
    "trend": "recent - popular",
    "share": "share of the recent sales of its group",
    "share_log": "its logarithm",
    "bought": "whether the customer has bought the candidate",
    "times": "logarithm of the orders of the customer that hold it",
    "decayed": "these orders, half after 45 days",
    "decayed_log": "its logarithm",
    "often": "share of the customer's orders that hold it",
    "last": "logarithm of the days since it was last bought",
    "last_week": "exp(-days / 7)",
    "last_month": "exp(-days / 30)",
    "alike": "how much of the cart those orders hold too, half after 120 days",
    "alike_log": "its logarithm",
    "alike_each": "logarithm of alike for each order",
    "repeated": "whether it was bought twice or more",
    "due": "logarithm of the days since, of the customer's own interval between purchases of it",
    "due_now": "exp(-|due|)",
    "group_times": "logarithm of the purchases of the candidate's group",
    "group_bought": "whether there are any",
    "group_often": "logarithm of these, of the customer's orders",
    "group_decayed": "these purchases, half after 45 days",
    "group_decayed_log": "its logarithm",
    "group_last": "logarithm of the days since the last of these",
    "group_last_week": "exp(-days / 7)",
    "group_last_month": "exp(-days / 30)",
    "loyalty": "share of the purchases of its group that are of the candidate",
    "loyalty_log": "its logarithm",
    "n_orders": "logarithm of the known orders of the customer",
    "n_items": "logarithm of the distinct items in them",
    "since": "logarithm of the days since the last order",
    "cart_size": "logarithm of the items in the cart",
    "weight_by_size": "weight times the items in the cart",
    "price": "logarithm of the price",
    "price_step": "price less the mean logarithm of the prices the customer paid",
    "price_far": "|price_step|",
    "margin": "(price - cost) / price",
}
"""Of one candidate beside one cart; unknown things are zero, and last bought 999 days ago."""

TABLES = {"complement": COMPLEMENT}
"""By the first word of the struct's name."""
