"""Upsell learned from orders: families, tiers, and which better version to offer."""
