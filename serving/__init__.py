"""Serving: the HTTP service, the command line and the dashboard."""
