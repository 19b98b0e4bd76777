"""Cross-sell: association rules and the items they suggest beside a cart."""
