"""The front door: the command line, and the Python client."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from storyshift.client import Client

__all__ = ["Client"]


def __getattr__(name: str) -> Any:
    """The client when it is asked for: `storyshift --help` starts without it."""
    if name == "Client":
        from storyshift.client import Client

        return Client
    raise AttributeError(f"module 'storyshift' has no attribute {name!r}")
