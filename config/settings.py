"""Settings: the only reader of the environment. Each stands in the README."""

import re
from functools import lru_cache
from importlib.util import find_spec
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from models.errors import ConfigError

NEEDED_FOR_FULL_TEXT = ("lxml_html_clean", "protego", "trafilatura")
"""trafilatura does not start without the first, and old versions of pip leave it out."""

OTHER_MODEL = re.compile(r"hf:(?:[\w.-]+/[\w.-]+|/[^@\s]+)@[\w./-]+")
"""hf:OWNER/NAME@REVISION, or hf:/a/folder@REVISION."""


def _tagger(value: str) -> str:
    if value not in ("minilm", "keywords") and not OTHER_MODEL.fullmatch(value):
        raise ValueError("must be minilm, keywords or hf:OWNER/NAME@REVISION")
    return value


def _sentiment(value: str) -> str:
    if value and not OTHER_MODEL.fullmatch(value):
        raise ValueError("must be hf:OWNER/NAME@REVISION")
    return value


class Settings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="STORYSHIFT_", extra="ignore")

    database_url: str = "sqlite:///storyshift.db"
    """Where the record is kept: an SQLite file, or postgresql://user@host/name (extra: postgres)."""
    config_dir: Path | None = None
    """A folder with your own feeds.toml, narratives.toml, assets.toml; a file not found there is taken from config/."""
    contact: str = ""
    """An address or URL that feed owners see in our User-Agent."""
    allowed_hosts: str = ""
    """Host names, comma-separated, under which the page may be opened besides localhost."""
    collect_minutes: int = Field(default=15, ge=1)
    """Minutes between two looks at a feed that answers."""
    allowed_networks: str = ""
    """Private networks that feeds may lie in, comma-separated: 10.1.0.0/16, fd00::/8."""
    allow_private_addresses: bool = False
    """true: feeds may lie anywhere, loopback included (for tests, or a machine of your own)."""
    tagger: Annotated[str, AfterValidator(_tagger)] = "minilm"
    """Who reads new articles, and whose tags are shown where nobody is named: minilm, keywords or another model."""
    weights: Path | None = None
    """A folder with weights of the tagger minilm, as `storyshift train` writes them; else those that are shipped."""
    sentiment: Annotated[str, AfterValidator(_sentiment)] = ""
    """The model that tells the tone of assets instead of the tagger: hf:OWNER/NAME@REVISION."""
    languages: str = "en"
    """Languages that are tagged, comma-separated; articles in others are kept, counted and not tagged."""
    load_prices: bool = True
    """false: `run` and `worker` ask no exchange, Yahoo or FRED for prices and macro series."""
    full_text: bool = False
    """true: `run` and `worker` read the pages of articles whose feed gives no text (extra: fulltext)."""

    def tagged_languages(self) -> tuple[str, ...]:
        return tuple(name.strip().lower() for name in self.languages.split(",") if name.strip())

    def networks(self) -> tuple[IPv4Network | IPv6Network, ...]:
        """The allowed networks. Raises: ConfigError."""
        try:
            return tuple(ip_network(name.strip()) for name in self.allowed_networks.split(",") if name.strip())
        except ValueError as error:
            raise ConfigError(
                f"STORYSHIFT_ALLOWED_NETWORKS={self.allowed_networks!r} cannot be used: {error}. "
                "It must look like 10.1.0.0/16,fd00::/8."
            ) from None


@lru_cache
def get_settings() -> Settings:
    """The settings of this process. Raises: ConfigError naming the variable that is wrong."""
    try:
        settings = Settings()
    except ValidationError as error:
        first = error.errors()[0]
        name = "STORYSHIFT_" + "_".join(str(part) for part in first["loc"]).upper()
        raise ConfigError(f"{name}={first['input']!r} cannot be used: {first['msg']}.") from None
    if settings.full_text and not all(map(find_spec, NEEDED_FOR_FULL_TEXT)):
        raise ConfigError("STORYSHIFT_FULL_TEXT needs the extra `fulltext`: pip install 'storyshift[fulltext]'.")
    return settings
