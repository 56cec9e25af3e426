"""Serving the page, with or without the worker in the same process."""

import ipaddress
import logging
import signal
import socket
from collections.abc import Callable
from datetime import datetime
from threading import Event, Thread

import uvicorn
from anyio.to_thread import current_default_thread_limiter
from fastapi import FastAPI

from api.app import create_app
from api.arriving import listening
from config.settings import get_settings
from jobs.scheduler import work
from models.database import Database
from models.errors import ConfigError, DatabaseBusy, PortBusy
from services.keys import create_link, has_key
from storyshift import logs
from storyshift.keys import address, own_name
from storyshift.output import say

THREADS = 100
"""Requests that are answered, or wait for one that is worked out, at once: those that wait must not keep others out."""

log = logging.getLogger("storyshift.serve")


class Server(uvicorn.Server):
    """Ends the streams of live events when it stops: it waits for its answers, and these would never end."""

    def __init__(self, app: FastAPI, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._live = app.state.live

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        current_default_thread_limiter().total_tokens = THREADS
        await super().startup(sockets)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._live.close()
        await super().shutdown(sockets)


def serve_page(
    database: Database, *, host: str, port: int, clock: Callable[[], datetime], with_worker: bool, replay: bool = False
) -> None:
    """Returns when stopped by Ctrl-C or SIGTERM. Raises: PortBusy, ConfigError."""
    if not _is_loopback(host):
        _check_open(database, host)
    listener = _listen(host, port)
    log_to_stderr()
    name = name_of(host)
    if get_settings().log_format == "json":  # it goes to a collector of logs, where a link would lie open
        log.info("serving address=%s database=%s", address(name, port), database)
    else:
        say(f"Storyshift: {address(name, port)}/  (API: /docs)")
        say_link(database, name, port, clock())
        say(f"Database: {database}. {'Collecting and tagging as feeds fall due. ' if with_worker else ''}Ctrl-C stops.")
    stop = Event()
    worker = Thread(target=work, args=(database,), kwargs={"clock": clock, "stop": stop}, daemon=True)
    if with_worker:
        worker.start()
    app = create_app(database, clock=clock, replay=replay, open_to_read=_is_loopback(host))
    signal.signal(signal.SIGTERM, _stopped)  # uvicorn ends what it answers, and then sends itself the signal again
    try:
        Server(app, listening(app, log_level="warning", log_config=None, access_log=False)).run(sockets=[listener])
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        stop.set()
        listener.close()
        if with_worker:
            worker.join()  # it says itself when what is under way takes too long


def _stopped(*_: object) -> None:
    """Being told to stop is no failure."""
    raise SystemExit(0)


def say_link(database: Database, host: str, port: int, now: datetime) -> None:
    """A link that opens a session of whoever runs this; while another holds the database, how to get one later."""
    name = own_name()
    try:
        with database.write() as session:
            code = create_link(session, name, now=now)
    except DatabaseBusy:
        say(f"The database is busy, so here is no link for reviewing: `storyshift keys link {name}` prints one later.")
        return
    say(f"Review as {name}: {address(host, port)}/open?code={code}  (once, within 24 hours)")


def log_to_stderr() -> None:
    """As STORYSHIFT_LOG_FORMAT says."""
    logs.log_to_stderr(get_settings().log_format)


def _check_open(database: Database, host: str) -> None:
    """Raises: ConfigError unless someone has said under which names others may come, and made a key."""
    if not get_settings().allowed_hosts:
        raise ConfigError(
            f"Listening on {host} would open the page to others. If that is meant, say under which names it may be "
            "opened: STORYSHIFT_ALLOWED_HOSTS=name,other-name."
        )
    with database.read() as session:
        if not has_key(session):
            raise ConfigError(
                f"Listening on {host} would open the page to others, and no key in {database} says who of them may "
                "read or write. Create one first: `storyshift keys create NAME`."
            )


def name_of(host: str) -> str:
    """The name under which the page may be opened: that of the host it listens on, or one that was allowed."""
    names = get_settings().allowed_names()
    return host if _is_loopback(host) or host.lower() in names or not names else names[0]


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _listen(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except socket.gaierror:
        raise ConfigError(f"--host {host} is not an address of this machine.") from None
    listener = socket.socket(family, kind, protocol)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(address)
        listener.listen(128)
    except OSError as error:
        listener.close()
        if isinstance(error, PermissionError):
            raise ConfigError(f"Port {port} needs more rights than this user has. Choose one above 1023.") from None
        if error.errno == 98 or "in use" in str(error):
            raise PortBusy(port) from None
        raise ConfigError(f"Cannot listen on {host}:{port} ({error.strerror}).") from None
    return listener
