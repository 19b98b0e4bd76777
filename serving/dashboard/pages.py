"""`/dashboard`: the first page, pages of errors, signing in and out, and the files of all pages."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any, Literal
from urllib.parse import parse_qs, parse_qsl, urlencode

from fastapi import APIRouter, Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.responses import FileResponse, RedirectResponse, Response

from mersalg.engine.errors import MersalgError
from mersalg.engine.tracking.query import TIME_KEYS
from mersalg.engine.tracking.report_csv import csv_text
from mersalg.serving import errors
from mersalg.serving.dashboard import sessions
from mersalg.serving.dashboard.shell import SHARED, STATIC, TheVisit, Visit, page, spoken, visit_of
from mersalg.serving.presentation.glossary import glossary_of
from mersalg.serving.presentation.overview import Overview
from mersalg.serving.presentation.timeline import Occurrences
from mersalg.serving.request_body import read_body
from mersalg.serving.security import audited, caller_presenting
from mersalg.serving.service import service_of

Step = Literal["day", "week", "month"]

_SHARED_DAYS = (7, 30, sessions.SHARED_DAYS)

_FILES = {
    "dashboard.css": "text/css",
    "dashboard.js": "text/javascript",
    "icon.svg": "image/svg+xml",
}
_PROBLEMS = {
    403: "forbidden",
    404: "not_found",
    409: "model",
    422: "invalid",
    429: "too_many",
    503: "database",
}
_OWN_PROBLEMS = ("old_form", "not_offered", "link_ended")


class _PageRoute(APIRoute):
    """A route that says on a page what goes wrong, with the status that an API call would get.

    Programs, which ask for no HTML, get the error that all calls get.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the handler of the route."""
        handle = super().get_route_handler()

        async def handled(request: Request) -> Response:
            try:
                return await handle(request)
            except (errors.ApiError, MersalgError, RequestValidationError) as error:
                if "text/html" not in request.headers.get("accept", ""):
                    raise
                return await _problem_page(request, errors.api_error(error))

        return handled


def pages_router() -> APIRouter:
    """Return a router of pages."""
    return APIRouter(include_in_schema=False, route_class=_PageRoute)


router = pages_router()


async def _problem_page(request: Request, problem: errors.ApiError) -> Response:
    """Return what is wrong and what to do, in the frame of the pages or, signed out, the form."""
    if problem.status == 303:
        return Response(status_code=303, headers=problem.headers)
    lang = request.query_params.get("lang")
    name = _PROBLEMS.get(problem.status, "other")
    name = problem.code if problem.code in _OWN_PROBLEMS else name
    try:
        # Its other parameters may be what is wrong.
        visit = await visit_of(request, service_of(request), lang=lang)
    except errors.ApiError:
        words = glossary_of(spoken(request, lang)).phrase
        said = f"{words(f'problem_{name}')} {words(f'problem_{name}_do')}"
        page = login_page(request, lang, said, problem.status)
    else:
        page = await visit.page(
            "problem", "problem.html", problem.status, said=name, problem=problem
        )
    page.headers.update(problem.headers)
    return page


def login_page(
    request: Request, lang: str | None, problem: str = "", status: int = 200
) -> Response:
    """Return the form that asks for a key."""
    language = spoken(request, lang)
    words = glossary_of(language).phrase
    return page(
        "login.html",
        status=status,
        title=words("sign_in"),
        words=words,
        language=language,
        problem=problem,
    )


@router.get("/dashboard")
async def show_overview(visit: TheVisit, step: Step = "day") -> Response:
    """Show what the offers are worth in the period, both rates, and how they changed."""
    return await _page(visit, "overview", step)


@router.get("/dashboard/funnel")
async def show_funnel(visit: TheVisit) -> Response:
    """Show how many of the suggestions are shown, clicked, bought and kept."""
    return await _page(visit, "funnel", "month")


async def _page(visit: Visit, name: str, step: Step) -> Response:
    """Return a page of a report, or of how far its numbers are counted where that takes long."""
    report = await visit.counted(step, with_previous=True)
    if report is None:
        return await visit.still_counting(name)
    filters, model = visit.filters, visit.service.live.model
    period = (filters.since, filters.until, visit.zone)
    occurred = await asyncio.to_thread(Occurrences.of, visit.service.store, *period)
    view = Overview(
        report,
        visit.shop,
        visit.language,
        step=step,
        experiment=model.settings.experiment if model else None,
        occurred=occurred,
    )
    return await visit.page(
        name,
        f"{name}.html",
        view=view,
        steps=[]
        if visit.shared_until
        else [(each, visit.address(step=each)) for each in TIME_KEYS],
        here=visit.address(step=step if name == "overview" else None),
        has_model=model is not None,
        last_period=None if view.has_data else await visit.last_period(),
    )


@router.post("/dashboard/share")
async def share_page(visit: TheVisit) -> Response:
    """Show a link to a page of numbers that anybody may read until it ends."""
    form = await visit.form("report")
    path, _, query = form.get("page", "").partition("?")
    days = form.get("days", "")
    if path not in SHARED or days not in map(str, _SHARED_DAYS):
        raise errors.invalid([{"where": "page", "message": "is not shared, or not for so long"}])
    until = int(time.time()) + int(days) * 24 * 3600
    address = sessions.shared_address(path, parse_qsl(query))
    settings, key_id = visit.service.settings, visit.caller.key_id
    async with audited(visit.service, visit.caller, "share page", f"{address} for {days} days"):
        token = sessions.share_token(settings, key_id, address, until)
        if token is None:
            raise errors.ApiError(403, "forbidden", "sharing needs MERSALG_SHARE_SECRET and a key")
    link = f"{address}&{urlencode({'lang': visit.language, 'share': token})}"
    ends = visit.moment(until * 1_000_000)
    return await visit.page("shared", "shared.html", link=link, ends=ends)


@router.get("/dashboard/report.csv")
async def download_report(visit: TheVisit, step: Step = "day") -> Response:
    """Return the numbers of the first page as a table."""
    report = await visit.report(step)
    name = f"mersalg-{visit.filters.since}-{visit.filters.until}.csv"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(csv_text(report), headers=headers, media_type="text/csv")


@router.get("/dashboard/login")
async def show_login(request: Request, refused: bool = False, lang: str | None = None) -> Response:
    """Show the form that asks for a key."""
    words = glossary_of(spoken(request, lang)).phrase
    return login_page(request, lang, words("sign_in_refused") if refused else "")


@router.post("/dashboard/login")
async def log_in(request: Request, lang: str | None = None) -> Response:
    """Open a session where the key is known."""
    form = parse_qs((await read_body(request)).decode("utf-8", "replace"))
    key = form.get("key", [""])[0].strip()
    caller = caller_presenting(request, key)
    session = sessions.open_session(request.app.state.settings, key) if caller else None
    parameters = {"lang": lang} if lang else {}
    if session is None:
        address = urlencode({"refused": "true", **parameters})
        return RedirectResponse(f"/dashboard/login?{address}", 303)
    answer = RedirectResponse(
        "/dashboard" + (f"?{urlencode(parameters)}" if parameters else ""), 303
    )
    forwarded = request.headers.get("x-forwarded-proto", "")
    answer.set_cookie(
        sessions.COOKIE,
        session,
        max_age=sessions.SECONDS,
        path="/dashboard",
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https" or forwarded == "https",
    )
    return answer


@router.post("/dashboard/logout")
async def log_out(request: Request) -> Response:
    """End the session."""
    sessions.end_session(request.app.state.settings, request.cookies.get(sessions.COOKIE, ""))
    answer = RedirectResponse("/dashboard/login", 303)
    answer.delete_cookie(sessions.COOKIE, path="/dashboard", httponly=True, samesite="strict")
    return answer


@router.get("/dashboard/static/{name}")
async def static_file(name: str) -> Response:
    """Return a file of the pages."""
    if name not in _FILES:
        raise errors.ApiError(404, "not_found", "no such file")
    headers = {"Cache-Control": "public, max-age=3600"}
    return FileResponse(STATIC / name, media_type=_FILES[name], headers=headers)


@router.get("/dashboard/{path:path}")
async def show_nothing(path: str, request: Request) -> Response:
    """Answer addresses that are no page; with a slash behind it, that of the first one is meant."""
    if not path:
        return RedirectResponse(f"/dashboard?{request.url.query}".rstrip("?"))
    raise errors.ApiError(404, "not_found", f"there is no page {path}")
