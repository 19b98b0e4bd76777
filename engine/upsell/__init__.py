"""Upsell: price tiers inside a family and the better version they suggest."""
