"""A signed link shows one page of the dashboard, read-only, without a key."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path

import httpx
import pytest

from tests.serving.test_dashboard import eventually_counted, sell
from tests.serving.test_live_shop import KEYS
from tests.support.models import tiny_model
from tests.support.servers import publish_model, running_server

SECRET = {"MERSALG_SHARE_SECRET": "share-secret-0123456789"}


@pytest.mark.parametrize("path", ["/dashboard", "/dashboard/funnel", "/dashboard/items"])
def test_a_link_shows_one_page_to_be_read(tmp_path: Path, path: str) -> None:
    publish_model(tmp_path / "models", tiny_model(holdout=0.0))
    with (
        running_server(tmp_path, keys=KEYS, environment=SECRET) as server,
        server.client() as reporter,
        httpx.Client(
            base_url=server.url, trust_env=False, timeout=60, headers={"Accept": "text/html"}
        ) as stranger,
    ):
        sell(f"sqlite:///{tmp_path / 'facts.db'}")
        reporter.post("/dashboard/login", data={"key": "report-key-k3y"})
        page = eventually_counted(reporter, f"{path}?lang=en")
        fields = dict(re.findall(r'type="hidden" name="(token|page)" value="([^"]+)"', page))
        form = {name: unescape(text) for name, text in fields.items()} | {"days": "7"}
        for wrong in ({"days": "91"}, {"page": "/dashboard/models?x=1"}):
            assert reporter.post("/dashboard/share", data=form | wrong).status_code == 422
        assert reporter.post("/dashboard/share", data=form | {"token": "0"}).status_code == 403
        answer = reporter.post("/dashboard/share?lang=en", data=form).raise_for_status()
        found = re.search(r'href="(/dashboard[^"]+share=[^"]+)"', answer.text)
        assert found is not None
        link = unescape(found[1])

        shown = eventually_counted(stranger, link)
        assert "Shared to be read until" in shown
        tables = [re.findall(r"<td>[^<]*<span class=.range.>[^<]*", each) for each in (page, shown)]
        assert tables[0]
        assert tables[0] == tables[1]
        for missing in ('class="pages"', 'class="filters"', "<form", "csv", "items/item?"):
            assert missing not in shown
        for free in (link.replace("lang=en", "lang=nb"), f"{link}&sort=name&order=asc&start=1"):
            assert stranger.get(free).status_code == 200
        for own in re.findall(r'<th scope="col"[^>]*><a href="([^"]+)"', shown):
            assert "share=" in own
            assert stranger.get(unescape(own)).status_code == 200
        for other in (
            link.replace("from=", "from=2020-01-01&from="),
            link.replace("/dashboard?", "/dashboard/rules?").replace(
                f"{path}?", "/dashboard/rules?"
            ),
            *(f"{link}&{more}" for more in ("kind=upsell", "q=case", "show=losing", "format=csv")),
        ):
            refused = stranger.get(other)
            assert refused.status_code == 403
            assert "This link has ended." in refused.text
            assert 'name="key"' in refused.text
        assert stranger.post(link.replace(path, "/dashboard/undo")).status_code == 303
        assert stranger.get(path).status_code == 303
        with server.client(key="admin-key-k3y") as admin:
            entry = admin.get("/v1/audit").json()["entries"][0]
        assert (entry["action"], entry["outcome"]) == ("share page", "done")
        assert entry["target"].startswith(f"{path}?")


def test_nothing_is_shared_without_a_secret(tmp_path: Path) -> None:
    with running_server(tmp_path, keys=KEYS) as server, server.client() as reporter:
        reporter.post("/dashboard/login", data={"key": "report-key-k3y"})
        assert "/dashboard/share" not in eventually_counted(reporter, "/dashboard")
