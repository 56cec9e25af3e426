"""Settings: the only reader of the environment. Each stands in the README."""

import re
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.util import find_spec
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import quote, unquote, urlsplit

from pydantic import AfterValidator, AliasChoices, Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from models.errors import ConfigError

NEEDED_FOR_FULL_TEXT = ("lxml_html_clean", "protego", "trafilatura")
"""trafilatura does not start without the first, and old versions of pip leave it out."""

ADDRESS = re.compile(r"[\w.+'-]{1,64}@[\w.-]{1,190}", re.ASCII)
"""One mail address, without a name."""

OTHER_MODEL = re.compile(r"hf:(?:[\w.-]+/[\w.-]+|/[^@\s]+)@[\w./-]+")
"""hf:OWNER/NAME@REVISION, or hf:/a/folder@REVISION."""

LEAST_DAYS_KEPT = 30
"""Copies are looked for, and pages read, among the articles of the last days; these need their bodies."""


def _tagger(value: str) -> str:
    if value not in ("minilm", "keywords") and not OTHER_MODEL.fullmatch(value):
        raise ValueError("must be minilm, keywords or hf:OWNER/NAME@REVISION")
    return value


def _sentiment(value: str) -> str:
    if value and not OTHER_MODEL.fullmatch(value):
        raise ValueError("must be hf:OWNER/NAME@REVISION")
    return value


def _days_kept(value: int) -> int:
    if 0 < value < LEAST_DAYS_KEPT:
        raise ValueError(f"must be 0, which keeps all, or {LEAST_DAYS_KEPT} at least")
    return value


def _rate(value: str) -> str:
    if value != "off" and not re.fullmatch(r"[1-9]\d{0,8}/(second|minute|hour)", value):
        raise ValueError("must look like 12000/minute, or be off")
    return value


class Settings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="STORYSHIFT_", extra="ignore")

    database_url: str = Field(default="sqlite:///storyshift.db", repr=False)
    """Where the record is kept: an SQLite file, or postgresql://user@host/name (extra: postgres)."""
    database_password_file: Path | None = None
    """A file that holds the password of PostgreSQL, which then does not stand in database_url."""
    config_dir: Path | None = None
    """A folder with your own feeds.toml, narratives.toml, assets.toml; a file not found there is taken from config/."""
    contact: str = ""
    """An address or URL that feed owners see in our User-Agent."""
    allowed_hosts: str = ""
    """Host names, comma-separated, under which the page may be opened besides localhost."""
    rate_limit: Annotated[str, AfterValidator(_rate)] = "12000/minute"
    """How many requests a key, or an address without one, may send: 600/minute, 10/second; off: as many as it likes."""
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
    tagging_threads: int | None = Field(default=None, ge=0)
    """Threads that minilm reads with, 0 all cores. Not set: all, but one for a job of a worker on PostgreSQL."""
    load_prices: bool = True
    """false: `run` and `worker` ask no exchange, Yahoo or FRED for prices and macro series."""
    full_text: bool = False
    """true: `run` and `worker` read the pages of articles whose feed gives no text (extra: fulltext)."""
    ray_address: str = Field(default="", validation_alias=AliasChoices("STORYSHIFT_RAY_ADDRESS", "RAY_ADDRESS"))
    """The Ray cluster that `backfill --engine ray` works on: ray://host:10001; else this machine (extra: cluster)."""

    log_format: Literal["text", "json"] = "text"
    """How `run`, `serve`, `worker` and `scheduler` log to stderr: a line for people, or one JSON object a line."""
    heartbeat_file: Path | None = None
    """A file that a worker or scheduler touches each time its loop goes round, for health checks."""
    keep_bodies_days: Annotated[int, AfterValidator(_days_kept)] = Field(default=0, ge=0)
    """Days after which the body of an article is deleted once it is tagged; 0: never. Titles and tags stay."""

    smtp_url: str = Field(default="", repr=False)
    """The server that mails of webhooks are handed to: smtp://user:password@host:587, or smtps://."""
    mail_from: str = ""
    """The address that these mails come from."""

    def with_password(self) -> "Settings":
        """The same, with the password of database_password_file in database_url. Raises: ConfigError."""
        file = self.database_password_file
        if file is None:
            return self
        try:
            password = file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            said = error.strerror if isinstance(error, OSError) else "it is not text"
            raise ConfigError(f"STORYSHIFT_DATABASE_PASSWORD_FILE={str(file)!r} cannot be read: {said}.") from None
        scheme, mark, rest = self.database_url.partition("://")
        user, at, place = rest.rpartition("@")
        if not password or not at or not user or ":" in user or not scheme.startswith("postgres"):
            raise ConfigError(
                "STORYSHIFT_DATABASE_PASSWORD_FILE must hold a password, and STORYSHIFT_DATABASE_URL must name a user "
                "without one: postgresql://user@host/name."
            )
        return self.model_copy(update={"database_url": f"{scheme}{mark}{user}:{quote(password, safe='')}{at}{place}"})

    def mail_server(self) -> "MailServer | None":
        """None where no mail can be sent. Raises: ConfigError, which does not show the address: it holds a password."""
        if not self.smtp_url:
            return None
        wrong = ConfigError("STORYSHIFT_SMTP_URL cannot be used. It must look like smtp://user:password@host:587.")
        try:
            parts = urlsplit(self.smtp_url)
            port = parts.port or (465 if parts.scheme == "smtps" else 587)
        except ValueError:
            raise wrong from None
        if parts.scheme not in ("smtp", "smtps") or not parts.hostname:
            raise wrong
        if not ADDRESS.fullmatch(self.mail_from):
            raise ConfigError(
                f"STORYSHIFT_MAIL_FROM={self.mail_from!r} cannot be used. With STORYSHIFT_SMTP_URL it must be one "
                "address, like storyshift@example.org."
            )
        return MailServer(
            parts.hostname,
            port,
            parts.scheme == "smtps",
            unquote(parts.username or ""),
            unquote(parts.password or ""),
            self.mail_from,
        )

    def allowed_names(self) -> list[str]:
        """The host names under which the page may be opened besides localhost, in small letters."""
        return [name.strip().lower() for name in self.allowed_hosts.split(",") if name.strip()]

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


@dataclass(frozen=True, slots=True)
class MailServer:
    """Where mails are handed over. `encrypted` from the first byte; otherwise STARTTLS, which a password needs."""

    host: str
    port: int
    encrypted: bool
    user: str
    password: str = field(repr=False)
    mail_from: str


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
    return settings.with_password()
