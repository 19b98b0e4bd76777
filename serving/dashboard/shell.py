"""What all pages share: who may look, in which language, with which filters, and their frame."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from functools import cached_property
from typing import Annotated, Any
from urllib.parse import parse_qs, urlencode
from zoneinfo import ZoneInfo

from fastapi import Depends, Query, Request
from starlette.responses import HTMLResponse, Response

from mersalg.engine import clock
from mersalg.engine.facts import KINDS
from mersalg.engine.locales import LANGUAGES, Language, language_of
from mersalg.engine.tracking.comparison import compared
from mersalg.engine.tracking.local_days import zone_of
from mersalg.engine.tracking.query import other_period, parse_query
from mersalg.serving import errors
from mersalg.serving.dashboard import sessions
from mersalg.serving.dashboard.filters import NARROWING, Filters
from mersalg.serving.keys import Scope
from mersalg.serving.presentation.figures import EntryWords
from mersalg.serving.presentation.html_templates import DASHBOARD, rendered
from mersalg.serving.request_body import read_body
from mersalg.serving.security import ANYONE, Caller, caller_presenting, presented_key
from mersalg.serving.service import Service, TheService

PAGES: Mapping[str, str] = {
    "overview": "/dashboard",
    **{
        name: f"/dashboard/{name}"
        for name in ("items", "rules", "ladders", "funnel", "models", "try", "health")
    },
}
"""Address of each page in the navigation, by its name; `page_<name>` is its phrase."""

SHARED = tuple(PAGES[name] for name in ("overview", "funnel", "items", "rules", "ladders"))
"""Addresses of pages that a link may show to people without a key."""


_NOTHING = {"value": None, "status": "no_data", "reason": None}
"""The extra sales of no checkout."""
_REPORT_SECONDS = 2.0
"""How long a page waits for its report before it shows how far it is."""
_WITHOUT_FILTERS = ("models", "try", "problem", "shared")
_PERIODS = (7, 28, 90, 365)
_Filter = Annotated[str, Query(max_length=200)]
STATIC = DASHBOARD / "static"

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:;"
    " connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


@dataclass(frozen=True)
class Visit:
    """A request for a page of somebody who may see it."""

    request: Request
    service: Service
    caller: Caller
    """Whose key opened the session, or was sent with the request."""
    session: str
    """Cookie of the session; empty without one."""
    language: Language
    filters: Filters
    shared_until: int | None = None
    """When the link that shows this page alone ends, in seconds; None where the caller has a
    key."""

    @cached_property
    def figures(self) -> EntryWords:
        """Numbers and entries of reports in the language of the page."""
        return EntryWords(self.language)

    def words(self, name: str, /, **values: object) -> str:
        """Return a phrase in the language of the page."""
        return self.figures.phrase(name, **values)

    @property
    def may_change(self) -> bool:
        """Whether the page offers what needs an admin key."""
        return self.caller.may("admin")

    @property
    def is_sharable(self) -> bool:
        """Whether the reader may make a link to this page."""
        has_secret = self.service.settings.share_secret is not None
        return has_secret and bool(self.session) and self.request.url.path in SHARED

    @property
    def form_token(self) -> str:
        """What a form of this page sends back as `token`; see `form`."""
        return sessions.form_token(self.service.settings, self.session)

    async def report(
        self, *by: str, with_previous: bool = False, **settings: Any
    ) -> Mapping[str, Any]:
        """Return the report that the filters ask for, split `by` keys.

        Its total and its groups are of what the filters let through alone; without any of it the
        total has no kinds. With the period before, where asked and where no filter narrows it.
        """
        rates, filters = self.service.reports.rates, self.filters
        query = filters.query(*by, **settings)
        if not filters.narrowed and with_previous:
            # Both at once: each is counted by a process of its own.
            before = other_period(replace(query, compare="previous"))
            report, other = await asyncio.gather(rates(query), rates(before))
            return {**report, "comparison": compared(report, other)}
        report = await rates(query)
        if not filters.narrowed:
            return report
        whole = await rates(filters.query(**settings)) if by else report
        row: Mapping[str, Any] = next(iter(filters.rows(whole)), dict[str, Any]())
        return {
            **report,
            "total": {kind: row[kind] for kind in KINDS if kind in row},
            "extra_sales": row.get("extra_sales", _NOTHING),
            "groups": filters.rows(report) if by else [],
        }

    async def counted(self, *by: str, **settings: Any) -> Mapping[str, Any] | None:
        """Return `report`; None while it is still being counted, for the next request."""
        try:
            return await asyncio.wait_for(self.report(*by, **settings), _REPORT_SECONDS)
        except TimeoutError:
            return None

    async def still_counting(self, name: str) -> Response:
        """Return the page that says how far the report of a page is; it loads again by itself."""
        stale = await asyncio.to_thread(self.service.store.reports.rollups.stale)
        return await self.page(name, "counting.html", is_whole=False, days=len(stale))

    async def last_period(self) -> tuple[str, str] | None:
        """Return the last period with decisions, and its address without filters.

        None where nothing was ever decided, and empty texts where that is this page.
        """
        newest = await asyncio.to_thread(self.service.store.facts.newest, "decision")
        if newest is None:
            return None
        until = clock.to_datetime(newest).astimezone(self.zone).date()
        since, filters = until - timedelta(days=_PERIODS[1] - 1), self.filters
        if filters.since <= until <= filters.until:
            if not (filters.narrowed or filters.kind):
                return "", ""
            since, until = filters.since, filters.until
        none = dict.fromkeys((*NARROWING, "kind"))
        return self.figures.period(since, until), self.address(from_=since, to=until, **none)

    def address(self, path: str | None = None, **changes: object) -> str:
        """Return the address of a page, this one by default, with language and filters kept.

        Parameters
        ----------
        path : str, optional
            Path of the page.
        **changes
            Parameters to add or replace; None removes one. `from_` is the parameter `from`.
        """
        named = {name.rstrip("_"): value for name, value in changes.items()}
        shared = {"share": self.request.query_params["share"]} if self.shared_until else {}
        texts = {"lang": self.language, **self.filters.texts(), **shared, **named}
        parameters = {name: str(value) for name, value in texts.items() if value is not None}
        return f"{path or self.request.url.path}?{urlencode(parameters)}"

    async def form(self, scope: Scope = "admin") -> Mapping[str, str]:
        """Return the fields of a form that somebody with a key sent from a page of ours.

        Raises ApiError: 403 for other keys, and where the form does not carry the page's token:
        another site may have sent it.
        """
        fields = parse_qs((await read_body(self.request)).decode("utf-8", "replace"))
        form = {name: values[0].strip() for name, values in fields.items()}
        if not self.caller.may(scope):
            raise errors.ApiError(403, "forbidden", f"this needs a key of scope {scope}")
        if not sessions.is_form_token(self.service.settings, self.session, form.get("token", "")):
            raise errors.ApiError(403, "old_form", "this form is out of date: load the page again")
        return form

    async def page(
        self,
        name: str,
        template: str,
        status: int = 200,
        *,
        is_whole: bool = True,
        **values: object,
    ) -> Response:
        """Return a page in its frame; `name` is one of `PAGES` or of the page it belongs to.

        A page that is not whole, because some of its numbers are still counted, loads again soon.
        """
        service = self.service
        model = service.live.model
        answer = page(
            template,
            status=status,
            visit=self,
            words=self.words,
            figures=self.figures,
            language=self.language,
            title=f"{self.words(f'page_{name}')} · {self.shop}",
            shop=self.shop,
            active=name,
            pages=PAGES,
            filters=self.filters,
            known={}
            if self.shared_until or name in _WITHOUT_FILTERS
            else await asyncio.to_thread(self.filters.known, service.store.facts, self.zone),
            is_paused=service.guard.paused is not None,
            kinds=KINDS,
            periods=[(days, *self._last(days)) for days in _PERIODS],
            notices=self._notices(),
            other=next(each for each in LANGUAGES if each != self.language),
            model=model.version if model else self.words("none"),
            **{"here": self.address(), **values},
        )
        if not is_whole:
            answer.headers["Refresh"] = "2"
        return answer

    @property
    def zone(self) -> ZoneInfo:
        """Clock of the shop."""
        return _zone(self.service)

    def moment(self, micros: int) -> str:
        """Return an instant by the clock of the shop."""
        at = clock.to_datetime(micros).astimezone(self.zone)
        return f"{self.figures.day(at.date(), year=True)}, {at:%H:%M}"

    @property
    def shop(self) -> str:
        """Name of the shop."""
        return model.settings.shop.name if (model := self.service.live.model) else "Mersalg"

    def _last(self, days: int) -> tuple[str, bool]:
        """Return the address of the last days up to today, and whether they are shown."""
        until = _today(self.service)
        since = until - timedelta(days=days - 1)
        shown = (self.filters.since, self.filters.until) == (since, until)
        return self.address(from_=since, to=until), shown

    def _notices(self) -> list[tuple[str, str]]:
        """Return what is wrong with the service, and how badly: `bad` or `warn`."""
        live, guard = self.service.live.status, self.service.guard
        notices: list[tuple[str, str]] = []
        if guard.paused is not None:
            notices.append(("bad", self.words("paused", reason=guard.paused)))
        if guard.asked is not None:
            notices.append(("warn", self.words("asked", reason=guard.asked)))
        if live.version is None or live.problem:
            name = "no_model" if live.version is None else "old_model"
            problem = live.problem or self.words("no_model_published")
            notices.append(("warn", self.words(name, version=live.version, problem=problem)))
        if not self.service.intake.available:
            notices.append(("warn", self.words("no_database")))
        return notices


async def visit_of(
    request: Request,
    service: TheService,
    days: Annotated[int, Query(ge=1, le=3660)] = 28,
    since: Annotated[str, Query(alias="from", max_length=10)] = "",
    until: Annotated[str, Query(alias="to", max_length=10)] = "",
    store: _Filter = "",
    segment: _Filter = "",
    placement: _Filter = "",
    kind: Annotated[str, Query(max_length=20)] = "",
    lang: Annotated[str | None, Query(max_length=35)] = None,
) -> Visit:
    """Return the visit of a request; who may not look is sent to sign in."""
    session = request.cookies.get(sessions.COOKIE, "")
    caller, shared = _caller(request, service, session), None
    token = request.query_params.get("share")
    if caller is None and token and request.method in ("GET", "HEAD"):
        address = sessions.shared_address(request.url.path, request.query_params.multi_items())
        shared = sessions.shared_until(service.settings, token, address)
        if shared is None:
            raise errors.ApiError(403, "link_ended", "this link has ended, or was changed")
        caller = Caller(frozenset({"report"}), "link")
    if caller is None or not caller.may("report"):
        location = "/dashboard/login" + (f"?{urlencode({'lang': lang})}" if lang else "")
        raise errors.ApiError(303, "unauthorized", "sign in first", headers={"Location": location})
    asked = parse_query({"from": since, "to": until, "kind": kind})
    last = _day(asked.until) or max(_day(asked.since) or date.min, _today(service))
    first = _day(asked.since) or date.fromordinal(max(1, last.toordinal() - days + 1))
    narrowed = (each.strip() or None for each in (store, segment, placement))
    kinds = asked.kinds if len(asked.kinds) == 1 else (None,)
    filters = Filters(first, last, *narrowed, kind=kinds[0])
    return Visit(request, service, caller, session, spoken(request, lang), filters, shared)


def page(template: str, *, status: int = 200, **values: object) -> HTMLResponse:
    """One page as a response."""
    text = rendered(template, **values)
    return HTMLResponse(text, status, headers={"Content-Security-Policy": _POLICY})


TheVisit = Annotated[Visit, Depends(visit_of)]


def spoken(request: Request, lang: str | None) -> Language:
    """Return the language of a page: that of its address, else the browser's, else the shop's."""
    model = request.app.state.service.live.model
    accepted = request.headers.get("accept-language", "").split(",")
    return language_of(lang, *accepted, model.settings.shop.locale if model else None)


def _caller(request: Request, service: Service, session: str) -> Caller | None:
    if not service.settings.keys:
        return ANYONE
    caller = sessions.caller_of(service.settings, session)
    key = presented_key(request)
    return caller_presenting(request, key) if caller is None and key else caller


def _zone(service: Service) -> ZoneInfo:
    model = service.live.model
    return zone_of(model.settings.shop.timezone if model else "UTC")


def _today(service: Service) -> date:
    return datetime.now(_zone(service)).date()


def _day(bound: date | datetime | None) -> date | None:
    return bound.date() if isinstance(bound, datetime) else bound
