"""The numbers of `/metrics`, for tests that wait for one or count by it."""

from __future__ import annotations

import httpx
from prometheus_client.parser import text_string_to_metric_families


def metric(client: httpx.Client, name: str, **labels: str) -> float:
    """Return the sum of the samples of a name that have the labels; 0 where there is none."""
    text = client.get("/metrics").raise_for_status().text
    return sum(
        sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    )
