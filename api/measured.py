"""Numbers for Prometheus: what is asked of this server, and at each scrape how the record fares. docs/metrics.md."""

from collections.abc import Callable, Iterator
from datetime import datetime
from time import perf_counter

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, ProcessCollector
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from models.database import Database
from models.errors import StoryshiftError
from services.measures import Measures, measures

METHODS = frozenset(("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class Requests:
    """What was asked since the process began."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.answered = Counter(
            "storyshift_http_requests",
            "Requests that were answered, by the template of their path.",
            ("method", "route", "status"),
            registry=registry,
        )
        self.seconds = Histogram(
            "storyshift_http_request_duration_seconds",
            "From a request until its answer began.",
            ("method", "route"),
            buckets=SECONDS,
            registry=registry,
        )
        self.in_flight = Gauge(
            "storyshift_http_requests_in_flight",
            "Requests being answered, listeners to live events too.",
            registry=registry,
        )

    def note(self, scope: Scope, status: int, seconds: float) -> None:
        method = scope["method"] if scope["method"] in METHODS else "other"
        route = _route(scope)
        self.answered.labels(method, route, str(status)).inc()
        self.seconds.labels(method, route).observe(seconds)


class Measured:
    """Notes every request, refused ones too."""

    def __init__(self, app: ASGIApp, requests: Requests) -> None:
        self.app, self._requests = app, requests

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began, noted = perf_counter(), False

        async def sent(message: Message) -> None:
            nonlocal noted
            if message["type"] == "http.response.start":
                noted = True
                self._requests.note(scope, message["status"], perf_counter() - began)
            await send(message)

        with self._requests.in_flight.track_inprogress():
            try:
                await self.app(scope, receive, sent)
            except Exception:
                if not noted:
                    self._requests.note(scope, 500, perf_counter() - began)
                raise


class Record(Collector):
    """The record as it is at a scrape; storyshift_up is 0 while the database does not answer."""

    def __init__(self, database: Database, clock: Callable[[], datetime]) -> None:
        self._database, self._clock = database, clock

    def collect(self) -> Iterator[GaugeMetricFamily]:
        up = GaugeMetricFamily("storyshift_up", "1 while the database answers, else 0.")
        try:
            with self._database.read() as session:
                found = measures(session, now=self._clock())
        except StoryshiftError:
            up.add_metric((), 0)
            yield up
            return
        up.add_metric((), 1)
        yield up
        yield from _gauges(found)


def registry_of(database: Database, clock: Callable[[], datetime], version: str) -> CollectorRegistry:
    """A registry of one application's own, with the process and the record in it."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    Info("storyshift_build", "Which version runs.", registry=registry).info({"version": version})
    registry.register(Record(database, clock))
    return registry


def _gauges(found: Measures) -> Iterator[GaugeMetricFamily]:
    yield _gauge("storyshift_articles", "Articles in the record.", found.articles)
    yield _gauge("storyshift_untagged_revisions", "Wordings that the tagger has still to read.", found.untagged)
    told = "Wordings that the tagger could not read, and does not try any more."
    yield _gauge("storyshift_set_aside_revisions", told, found.set_aside)
    feeds = GaugeMetricFamily("storyshift_feeds", "Feeds by health.", labels=("health",))
    for health, count in found.feeds.items():
        feeds.add_metric((health,), count)
    yield feeds
    if found.fetch_age is not None:
        yield _gauge("storyshift_last_fetch_age_seconds", "Since a feed was last asked.", found.fetch_age)
    if found.article_age is not None:
        told = "Since the latest article became known."
        yield _gauge("storyshift_last_article_age_seconds", told, found.article_age)
    closes = GaugeMetricFamily(
        "storyshift_price_age_seconds", "Since the latest close of an instrument.", labels=("asset", "interval")
    )
    for labels, age in found.price_ages.items():
        closes.add_metric(labels, age)
    yield closes
    points = GaugeMetricFamily(
        "storyshift_macro_age_seconds", "Since the latest value of a series became known.", labels=("series",)
    )
    for series, age in found.macro_ages.items():
        points.add_metric((series,), age)
    yield points
    told = "Series of prices and macro values whose last load failed."
    yield _gauge("storyshift_series_failing", told, found.series_failing)
    told = "Events on their way to webhooks."
    yield _gauge("storyshift_deliveries_waiting", told, found.deliveries_waiting)
    yield _gauge("storyshift_database_bytes", "What the database takes on its disk.", found.data_bytes)
    if found.free_bytes is not None:
        yield _gauge("storyshift_disk_free_bytes", "Free on the disk of an SQLite file.", found.free_bytes)
    if found.jobs is not None:
        jobs = GaugeMetricFamily("storyshift_jobs", "Jobs that workers share, by state.", labels=("state",))
        for state, count in found.jobs.items():
            jobs.add_metric((state,), count)
        yield jobs
    if found.worker_age is not None:
        told = "Since a worker that shares jobs was last heard."
        yield _gauge("storyshift_worker_heartbeat_age_seconds", told, found.worker_age)


def _gauge(name: str, told: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, told, value=value)


def _route(scope: Scope) -> str:
    """The template of the path: as many values as there are routes, whatever is asked for."""
    path = getattr(scope.get("route"), "path", None)
    return str(path or scope.get("root_path") or "none")
