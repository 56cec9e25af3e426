"""The one table from errors to HTTP statuses. Every error body is {"error", "detail"}."""

import logging

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException
from starlette.routing import Route

from api.protected import protect
from models import errors

STATUS: dict[type[errors.StoryshiftError], int] = {
    errors.BadInput: 422,
    errors.NotFound: 404,
    errors.NotAllowed: 401,
    errors.Forbidden: 403,
    errors.TooManyRequests: 429,
    errors.DatabaseUnavailable: 503,
    errors.ConfigError: 500,
    errors.StoryshiftError: 500,
}
NO_PAGES = ("/v1/", "/static/", "/swagger/", "/vendor/")
"""Whoever asks there wants data or a file, and never reads a page."""
NAMES = {404: "not_found", 405: "method_not_allowed", 400: "bad_request"}
HEADERS = {401: {"WWW-Authenticate": "Bearer"}, 503: {"Retry-After": "5"}}
log = logging.getLogger("storyshift.api")


def install(app: FastAPI) -> None:
    app.add_exception_handler(errors.StoryshiftError, _ours)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _unexpected)


def answer(status: int, error: str, detail: str) -> JSONResponse:
    return JSONResponse({"error": error, "detail": detail}, status, HEADERS.get(status))


def status_of(error: Exception) -> int:
    """The status of the nearest ancestor in the table."""
    return next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)


def told(error: errors.StoryshiftError) -> JSONResponse:
    name = "".join("_" + char.lower() if char.isupper() else char for char in type(error).__name__).lstrip("_")
    found = answer(status_of(error), name, str(error))
    if isinstance(error, errors.TooManyRequests):
        found.headers["Retry-After"] = str(error.seconds)
    return found


async def _ours(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, errors.StoryshiftError)  # noqa: S101 - narrows the type for mypy
    return told(error)


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - narrows the type for mypy
    if _is_read_by_a_person(request):  # a page's address with a word where a number belongs
        return _lost(request)
    first = error.errors()[0]
    where = next((place for place in reversed(first["loc"]) if isinstance(place, str)), "request")
    return answer(422, "bad_input", f"{where}: {first['msg']}.")


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - narrows the type for mypy
    if error.status_code == 404 and _is_read_by_a_person(request):
        return _lost(request)
    detail = f"There is nothing at {request.url.path}." if error.status_code == 404 else str(error.detail)
    found = answer(error.status_code, NAMES.get(error.status_code, "http_error"), detail)
    if error.status_code == 405:
        found.headers["Allow"] = ", ".join(_methods(request))
    return found


def _is_read_by_a_person(request: Request) -> bool:
    return "text/html" in request.headers.get("accept", "") and not request.url.path.startswith(NO_PAGES)


def _lost(request: Request) -> Response:
    """The page that says that there is none; the pages have it drawn (see api/app.py)."""
    found: Response = request.app.state.lost_page(request.url.path)
    return found


def _methods(request: Request) -> list[str]:
    """Those that this path takes, of whichever route."""
    path = request.url.path
    routes = [route for router in request.app.state.routers for route in router.routes if isinstance(route, Route)]
    meant = [route for route in routes if route.path == path] or [r for r in routes if r.path_regex.match(path)]
    return sorted({method for route in meant for method in route.methods or ()})


async def _unexpected(request: Request, error: Exception) -> JSONResponse:
    log.exception("unexpected error path=%s", request.url.path, exc_info=error)
    found = answer(500, "unexpected", "Something went wrong on our side; the log of the server says what.")
    protect(found.headers, request.url.path)  # this one is given outside of all other layers
    return found
