"""`/dashboard`: the pages, who may see them, and what they are drawn with."""

from __future__ import annotations

from datetime import datetime, timedelta
from urllib.parse import parse_qs

from fastapi import APIRouter, Query, Request
from starlette.responses import FileResponse, RedirectResponse, Response

from mersalg.engine.locales import language_of
from mersalg.engine.tracking.local_days import zone_of
from mersalg.engine.tracking.query import ReportQuery
from mersalg.serving import errors
from mersalg.serving.dashboard import plotly_script, sessions
from mersalg.serving.dashboard.templating import STATIC, page
from mersalg.serving.dashboard.view import build_view
from mersalg.serving.request_body import read_body
from mersalg.serving.security import caller_presenting, may_read
from mersalg.serving.service import TheService
from mersalg.serving.settings import ServeSettings

router = APIRouter(include_in_schema=False)

_FILES = {
    "dashboard.css": "text/css",
    "dashboard.js": "text/javascript",
    "icon.svg": "image/svg+xml",
    "plotly.min.js": "text/javascript",
}


def _may_look(request: Request, settings: ServeSettings) -> bool:
    return sessions.is_open(settings, request.cookies.get(sessions.COOKIE)) or may_read(request)


@router.get("/dashboard")
async def show_dashboard(
    request: Request,
    service: TheService,
    days: int = Query(28, ge=1, le=3660),
    lang: str | None = Query(None, max_length=35),
) -> Response:
    """Show both rates of the last days."""
    settings: ServeSettings = request.app.state.settings
    if not _may_look(request, settings):
        return RedirectResponse("/dashboard/login", 303)
    model, live = service.live.model, service.live.status
    shop = model.settings.shop if model else None
    today = datetime.now(zone_of(shop.timezone if shop else "UTC")).date()
    query = ReportQuery(
        since=today - timedelta(days=days - 1), until=today, by=("day",), watched=True
    )
    accepted = request.headers.get("accept-language", "").split(",")
    language = language_of(lang, *accepted, shop.locale if shop else None)
    view = build_view(
        await service.reports.rates(query),
        days=days,
        language=language,
        shop=shop.name if shop else "Mersalg",
        model_version=live.version,
        model_problem=live.problem,
        database_up=service.intake.available,
        paused=service.guard.paused,
        asked=service.guard.asked,
    )
    return page(
        "dashboard.html",
        title=view.shop,
        language=language,
        view=view,
        preloaded_style_ids=plotly_script.unneeded_style_ids(),
        keyed=bool(settings.keys),
        signed_in=sessions.COOKIE in request.cookies,
    )


@router.get("/dashboard/login")
async def show_login(refused: bool = False) -> Response:
    """Show the form that asks for a key."""
    return page("login.html", title="Sign in", refused=refused)


@router.post("/dashboard/login")
async def log_in(request: Request) -> Response:
    """Open a session where the key is known."""
    form = parse_qs((await read_body(request)).decode("utf-8", "replace"))
    key = form.get("key", [""])[0].strip()
    caller = caller_presenting(request, key)
    session = sessions.open_session(request.app.state.settings, key) if caller else None
    if session is None:
        return RedirectResponse("/dashboard/login?refused=true", 303)
    answer = RedirectResponse("/dashboard", 303)
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
    sessions.end_session(request.app.state.settings, request.cookies.get(sessions.COOKIE))
    answer = RedirectResponse("/dashboard/login", 303)
    answer.delete_cookie(sessions.COOKIE, path="/dashboard", httponly=True, samesite="strict")
    return answer


@router.get("/dashboard/static/{name}")
async def static_file(name: str) -> Response:
    """Return a file of the pages."""
    if name not in _FILES:
        raise errors.ApiError(404, "not_found", "no such file")
    headers = {"Cache-Control": "public, max-age=3600"}
    path = plotly_script.PATH if name == "plotly.min.js" else STATIC / name
    return FileResponse(path, media_type=_FILES[name], headers=headers)
