"""`storyshift mcp`: the record as tools of an assistant, over standard input and output."""

from models.errors import ConfigError
from storyshift.shell import now, open_database


def mcp() -> None:
    """Serve the record to an assistant that speaks the Model Context Protocol, over stdin and stdout; it only reads."""
    try:
        from api.mcp_server import create_server
    except ModuleNotFoundError as error:
        if not (error.name or "").startswith("mcp"):
            raise
        raise ConfigError("`storyshift mcp` needs the extra `mcp`: pip install 'storyshift[mcp]'.") from None
    create_server(open_database(), clock=now).run("stdio")
