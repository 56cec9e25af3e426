"""The front door: the command line, and the Python client."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from storyshift.client import Client, Refused

__all__ = ["Client", "Refused"]


def __getattr__(name: str) -> Any:
    """The client when it is asked for: `storyshift --help` starts without it."""
    if name in __all__:
        from storyshift import client

        return getattr(client, name)
    raise AttributeError(f"module 'storyshift' has no attribute {name!r}")
