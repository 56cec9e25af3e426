"""A record that is served on loopback, as `storyshift serve` does it."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from threading import Thread

from fastapi import FastAPI

from api.app import create_app
from api.arriving import listening
from models.database import Database
from storyshift.serving import Server


@contextmanager
def serving(database: Database, now: datetime) -> Iterator[tuple[str, FastAPI]]:
    """Its address, and the application; streams of live events end with it."""
    listener = socket.create_server(("127.0.0.1", 0))
    app = create_app(database, clock=lambda: now)
    server = Server(app, listening(app, log_level="error"))
    thread = Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", app
    finally:
        app.state.live.close()
        server.should_exit = True
        thread.join()
        listener.close()
