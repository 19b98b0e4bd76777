"""The offers of days, as they are stored: read by any keys, and added up over many days."""

from __future__ import annotations

from mersalg.engine.fact_json import parse_fact
from mersalg.engine.facts import KINDS
from mersalg.engine.tracking.measures import Period
from mersalg.engine.tracking.query import ReportQuery
from mersalg.engine.tracking.rates import Counts
from mersalg.engine.tracking.rollups.offer_count import offers_of_day
from mersalg.engine.tracking.rollups.offer_sums import joined, totals_of
from mersalg.engine.tracking.rollups.offer_table import StoredOffers
from tests.engine.tracking.test_attribution import bought, decided, item, seen

DAYS = 300


def test_many_days_add_up() -> None:
    """There are more checkouts, kinds of outcomes and days than small integers have numbers."""
    other = decided(2, "x", checkout_id="k2", customer_id="bob", placement="cart")
    facts = [decided(), seen("d-bun"), bought(item("bun")), other, seen("x-bun", 3)]
    period = Period(map(parse_fact, facts), ReportQuery(timezone="UTC").filled({}))

    units = sorted(period.history.units.values())
    number_of = {unit: 70_000 * place for place, unit in enumerate(units)}
    stored = StoredOffers(offers_of_day(period.all, (), "NOK", lambda _: number_of))
    assert stored.left_out == []
    groups = {("item",): 2, ("placement",): 2, ("item", "placement"): 4, (): 1}
    for keys, n_groups in groups.items():
        tables = [stored.table(keys, day) for day in range(DAYS)]
        one, many = (
            totals_of(table, table.offers["key"], len(table.keys))
            for table in (joined(tables[:1]), joined(tables))
        )
        assert len(one.counts) == n_groups
        assert sum(each["cross_sell"].offers_shown for each in one.counts) == 2
        for of_day, of_all in zip(one.counts, many.counts, strict=True):
            for kind in KINDS:
                assert of_all[kind] == sum([of_day[kind]] * DAYS, Counts())
        # The units are the same ones on every day.
        assert many.ends.tolist() == one.ends.tolist()
        assert many.units.tolist() == one.units.tolist()
