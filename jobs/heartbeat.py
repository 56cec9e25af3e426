"""The sign of life of a worker or scheduler: a file that it touches each time its loop has gone round."""

from config.settings import get_settings


def beat() -> None:
    """Touch the file of STORYSHIFT_HEARTBEAT_FILE, where one is named. Its age is what a health check looks at."""
    file = get_settings().heartbeat_file
    if file is not None:
        file.touch()
