"""Recommendation engine with offer tracking: cross-sell and upsell at checkout, and their rates."""
