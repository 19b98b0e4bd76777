"""A typed client of the HTTP API, for the shop's own Python programs."""
