"""The web application: routes, the error table, who may open the page, and the page's files.

Host names other than localhost are refused (a page elsewhere could otherwise read this one by renaming its host),
unless STORYSHIFT_ALLOWED_HOSTS names them. No answer makes a browser ask anyone else for anything.
"""

from collections.abc import Awaitable, Callable
from datetime import datetime
from importlib.resources import files
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import unquote

from fastapi import Depends, FastAPI, Request, Response
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import FileResponse, HTMLResponse, RedirectResponse
from fastapi.staticfiles import StaticFiles
from jinja2 import Environment, FileSystemLoader
from starlette.middleware.gzip import GZipMiddleware

import api.errors
import api.openapi
from api.adapters import grafana, openbb
from api.heads import Heads
from api.limits import Limits
from api.live import Live
from api.measured import Measured, Requests, registry_of
from api.protected import Protected
from api.remembered import Remembered
from api.routes import articles, catalog, events, metrics, quality, review, review_files, series, session, webhooks
from api.security import may_read, set_cookie
from config.settings import get_settings
from models.database import Database
from models.errors import NotAllowed, TooManyRequests
from services import keys

VERSION = "0.1.0"
WEB = Path(__file__).parent.parent / "web"
PAGES = {
    "/": "now.html",
    "/story": "story.html",
    "/lead-lag": "lead-lag.html",
    "/articles": "articles.html",
    "/review": "review.html",
    "/quality": "quality.html",
    "/sources": "sources.html",
}
MAX_BODY = 1_000_000


def create_app(
    database: Database, *, clock: Callable[[], datetime], replay: bool = False, open_to_read: bool = True
) -> FastAPI:
    """The application over an open database; `clock` gives the instant of each question (aware UTC).

    With `replay` the page says that the record is one of briefs written for the replay. Unless it is `open_to_read`,
    reading takes a key or a session, as writing and reviewing always do.
    """
    app = FastAPI(
        title="Storyshift",
        version=VERSION,
        description="When the story in financial news shifts from panic to devaluation, and what bitcoin does.",
        docs_url=None,
        redoc_url=None,
    )
    app.state.database, app.state.clock = database, clock
    app.state.live = Live(database, clock)
    app.state.remembered = Remembered(database, clock)
    app.state.registry = registry_of(database, clock, VERSION)
    api.errors.install(app)
    api.openapi.describe(app)
    app.state.limits = Limits(get_settings().rate_limit)
    read = (series, articles, catalog, quality, events, grafana, metrics, openbb)
    asked_of_all = (catalog.health, review.router, review_files.router, session.router, webhooks.router)
    for routes in read:
        app.include_router(routes.router, dependencies=[] if open_to_read else [Depends(may_read)])
    for router in asked_of_all:
        app.include_router(router)
    _add_pages(app, replay)
    app.state.routers = (app.router, *(routes.router for routes in read), *asked_of_all)
    app.add_middleware(openbb.Cors)
    allowed = {"localhost", *get_settings().allowed_names()}

    @app.middleware("http")
    async def guard(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        host = request.headers.get("host", "").lower()
        name = host[: host.find("]") + 1] if host.startswith("[") else host.partition(":")[0]
        if name not in allowed and not _is_loopback(name):
            return api.errors.answer(
                400, "unknown_host", f"This server is not known as {name!r}. To allow it, set STORYSHIFT_ALLOWED_HOSTS."
            )
        try:
            told = app.state.limits.take(request)
        except TooManyRequests as refused:
            return api.errors.told(refused)
        length = request.headers.get("content-length", "" if request.method in ("POST", "PUT", "PATCH") else "0")
        # h11 goes by Transfer-Encoding where both are sent, so that a length beside it says nothing
        if "transfer-encoding" in request.headers or not length.isdecimal() or int(length) > MAX_BODY:
            return api.errors.answer(413, "too_large", f"A request's body is at most {MAX_BODY} bytes, and says so.")
        if "\0" in unquote(f"{request.url.path}?{request.url.query}"):
            return api.errors.answer(422, "bad_input", "The request holds a NUL character, which no name or text has.")
        response = await call_next(request)
        response.headers.update(told)
        return response

    app.add_middleware(GZipMiddleware, minimum_size=1024, compresslevel=5)
    app.add_middleware(Measured, requests=Requests(app.state.registry))
    app.add_middleware(Heads)
    app.add_middleware(Protected)
    return app


def _is_loopback(name: str) -> bool:
    """Whether a request's host is an address of this machine alone; no page elsewhere can be named so."""
    try:
        return ip_address(name.strip("[]")).is_loopback
    except ValueError:
        return False


def _add_pages(app: FastAPI, replay: bool) -> None:
    templates = Environment(loader=FileSystemLoader(WEB / "templates"), autoescape=True)
    chart_library = Path(str(files("plotly"))) / "package_data" / "plotly.min.js"
    swagger = Path(str(files("fastapi_offline"))) / "static"
    app.mount("/static", StaticFiles(directory=WEB / "static"), name="static")
    app.mount("/swagger", StaticFiles(directory=swagger), name="swagger")

    def page(name: str, path: str, **told: str) -> HTMLResponse:
        text = templates.get_template(name).render(version=VERSION, replay=replay, path=path, **told)
        return HTMLResponse(text)

    def lost(path: str) -> HTMLResponse:
        answer = page("lost.html", "", where=path)
        answer.status_code = 404
        return answer

    app.state.lost_page = lost

    def showing(path: str) -> Callable[[], HTMLResponse]:
        return lambda: page(PAGES[path], path)

    for path in PAGES:
        app.add_api_route(path, showing(path), include_in_schema=False)

    @app.get("/evidence", include_in_schema=False)
    def evidence(request: Request) -> RedirectResponse:
        """Where lead and lag stood before; a browser keeps the fragment."""
        return RedirectResponse(str(request.url.replace(scheme="", netloc="", path="/lead-lag")), status_code=308)

    @app.get("/articles/{article_id}", include_in_schema=False)
    def article_page(article_id: int) -> HTMLResponse:
        return page("article.html", "/articles/", article_id=str(article_id))

    @app.get("/open", include_in_schema=False)
    def open_session(request: Request, code: str = "") -> HTMLResponse:
        """Begins a session, and goes on to /review by the page's own doing: a browser that came from another site
        would not send the cookie, which is SameSite=Strict, along a redirect."""
        database, now = request.app.state.database, request.app.state.clock()
        try:
            with database.read() as session:  # so that a wrong code makes no writer wait
                keys.check_code(session, code, now=now)
            with database.write() as session:
                secret = keys.open_session(session, code, now=now)
        except NotAllowed as refused:
            answer = page("opened.html", "/open", refused=str(refused))
            answer.status_code = 401
            answer.headers["WWW-Authenticate"] = "Bearer"
        else:
            answer = page("opened.html", "/open")
            set_cookie(request, answer, secret)
        answer.headers["Cache-Control"] = "no-store"
        return answer

    @app.get("/vendor/plotly.min.js", include_in_schema=False)
    def plotly() -> FileResponse:
        return FileResponse(chart_library, headers={"Cache-Control": "public, max-age=86400"})

    @app.get("/docs", include_in_schema=False)
    def docs() -> HTMLResponse:
        return get_swagger_ui_html(
            openapi_url="/openapi.json",
            title="Storyshift API",
            swagger_js_url="/swagger/swagger-ui-bundle.js",
            swagger_css_url="/swagger/swagger-ui.css",
            swagger_favicon_url="/static/icon.svg",
        )
