"""Scoring what may complement a cart: signals of items, habits of customers, a fitted scorer."""
