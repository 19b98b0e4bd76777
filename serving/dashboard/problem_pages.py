"""Pages of errors: in the reader's language, with what to do; and the form to sign in."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import APIRouter, Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.responses import Response

from mersalg.engine.errors import MersalgError
from mersalg.serving import errors
from mersalg.serving.dashboard.shell import page, spoken, visit_of
from mersalg.serving.presentation.glossary import glossary_of
from mersalg.serving.service import service_of


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


_PROBLEMS = {
    403: "forbidden",
    404: "not_found",
    409: "model",
    422: "invalid",
    429: "too_many",
    503: "database",
}
_OWN_PROBLEMS = ("old_form", "not_offered", "link_ended")


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
