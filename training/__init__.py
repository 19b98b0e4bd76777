"""Offline training: read, check, mine, fit, back-test, publish."""
