"""Tracking: from facts to attributed outcomes, counts, rates and intervals."""
