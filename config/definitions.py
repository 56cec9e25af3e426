"""What people edit in config/: feeds, narratives, assets, macro series and prior rates, read and checked.

Each file is TOML. A file in STORYSHIFT_CONFIG_DIR replaces the one shipped here as a whole. A mistake is a
ConfigError that names file, entry and field. Does not: touch the database (jobs seed it from here).
"""

import json
import tomllib
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal, TypeVar
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from config.settings import get_settings
from models.errors import ConfigError, UnknownName

HERE = Path(__file__).parent
FeedKind = Literal["general", "markets", "macro", "metals", "crypto", "central_bank"]
BASELINE_TAGGER = "keywords@1"
WEIGHTS_CARD = HERE.parent / "nlp" / "weights" / "card.json"
"""What is said of the weights that are shipped; its name is that of the tagger `minilm`."""
SOURCES = ("ccxt", "yfinance", "fred")
CORE_NARRATIVES = ("safe_haven", "debasement", "liquidity", "fiscal_stress")


def _close(value: str) -> str:
    """'17:00 America/New_York': the wall-clock time and zone of a daily close."""
    try:
        clock, zone = value.split()
        hours, minutes = (int(part) for part in clock.split(":"))
        ZoneInfo(zone)
    except Exception:
        raise ValueError("must look like '17:00 America/New_York'") from None
    if not (0 <= hours < 24 and 0 <= minutes < 60):
        raise ValueError("has no such time of day")
    return value


def _address(value: str) -> str:
    if not value.startswith(("http://", "https://")):
        raise ValueError("must start with http:// or https://")
    return value


def _source(value: str) -> str:
    """'yfinance:GC=F': a source of live values and its name for what is wanted."""
    source, _, symbol = value.partition(":")
    if source not in SOURCES or not symbol or not symbol.isprintable() or " " in symbol:
        raise ValueError(f"must look like 'yfinance:GC=F', with one of {', '.join(SOURCES)}")
    return value


class Definition(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class FeedDefinition(Definition):
    url: Annotated[str, AfterValidator(_address)]
    outlet: str
    kind: FeedKind
    language: str = "en"
    verified: str = "never"
    """When someone last saw it answer (a date), or 'never'."""


class Narrative(Definition):
    """A story that news tells. The keyword lists are what the baseline tagger reads; see nlp/keywords.py."""

    name: str
    definition: str
    pole: Literal["panic", "devaluation", "context"]
    counts: Literal["building", "any"] = "building"
    """Which stories move θ: those whose direction is +1 (building; for liquidity: easing), or any."""
    keywords: list[str]
    """Phrases that carry the narrative on their own."""
    together: list[list[list[str]]] = []
    """Groups of phrase lists; one phrase of every list of a group, in one field, carries it too."""
    exceptions: list[str] = []
    """Longer phrases inside which a keyword does not count ("tax haven")."""
    rising: list[str] = []
    """Phrases that say the narrative's force is building."""
    falling: list[str] = []


class Asset(Definition):
    name: str
    unit: str = ""
    aliases: list[str] = []
    """Phrases that name it, whatever their case. Empty for an instrument that is only priced."""
    exact: list[str] = []
    """Phrases that name it only in this very case ("ETH", "Street")."""
    exceptions: list[str] = []
    """Longer phrases that do not mean it ("gold medal")."""
    calendar: str = "24/7"
    """A calendar of the exchange_calendars package."""
    close: Annotated[str, AfterValidator(_close)] | None = None
    """When a daily bar ends, if not when the calendar's session does."""
    price: str | None = None
    """The instrument whose bars stand for it, if not its own."""
    source: Annotated[str, AfterValidator(_source)] | None = None
    """Where live bars come from: 'ccxt:BTC/USD', 'yfinance:GC=F'."""


class MacroSeries(Definition):
    name: str
    unit: str
    frequency: Literal["day", "week", "month"]
    lag_days: int = Field(ge=0)
    """Days from the end of the period to the publication."""
    source: Annotated[str, AfterValidator(_source)] | None = None
    """Where live values come from: 'fred:DFII10'."""


class PriorRate(Definition):
    """The share of stories that usually carries a narrative, as told from archives."""

    rate: float = Field(gt=0, lt=1)
    spread: float = Field(gt=0)
    """Standard deviation of its logarithm between archives."""


class PriorRates(Definition):
    """The usual rates that one tagger finds in archives, for a record too young to have its own."""

    label: str
    """What they were told from, as every answer that uses them says."""
    rates: dict[str, PriorRate]


Entry = TypeVar("Entry", bound=Definition)


def _read(file: str) -> tuple[Path, dict[str, object]]:
    own = get_settings().config_dir
    if own is not None and not own.is_dir():
        raise ConfigError(f"STORYSHIFT_CONFIG_DIR={own} is not a folder.")
    path = own / file if own is not None and (own / file).exists() else HERE / file
    try:
        return path, tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not readable as TOML: {error}.") from None


def _entry(path: Path, name: str, kind: type[Entry], raw: object) -> Entry:
    try:
        return kind.model_validate(raw)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "entry"
        raise ConfigError(f"{path}: {name}: {field}: {first['msg']}.") from None


def _table(file: str, table: str, kind: type[Entry]) -> dict[str, Entry]:
    path, content = _read(file)
    raw = content.get(table)
    if not isinstance(raw, dict) or not raw:
        raise ConfigError(f"{path} has no [{table}.…] entry.")
    return {key: _entry(path, f"{table}.{key}", kind, value) for key, value in raw.items()}


@lru_cache
def feeds() -> list[FeedDefinition]:
    path, content = _read("feeds.toml")
    raw = content.get("feeds", [])
    if not isinstance(raw, list):
        raise ConfigError(f"{path}: feeds must be a list of [[feeds]] entries.")
    found = [_entry(path, f"feeds[{number}]", FeedDefinition, value) for number, value in enumerate(raw, 1)]
    seen: set[str] = set()
    for feed in found:
        if feed.url in seen:
            raise ConfigError(f"{path}: {feed.url} stands there twice.")
        seen.add(feed.url)
    return found


@lru_cache
def narratives() -> dict[str, Narrative]:
    return _table("narratives.toml", "narratives", Narrative)


@lru_cache
def assets() -> dict[str, Asset]:
    found = _table("assets.toml", "assets", Asset)
    for key, asset in found.items():
        if asset.price is not None and asset.price not in found:
            raise ConfigError(f"assets.toml: assets.{key}: price: there is no asset {asset.price!r}.")
    return found


@lru_cache
def macro_series() -> dict[str, MacroSeries]:
    return _table("assets.toml", "macro", MacroSeries)


@lru_cache
def _prior_rates() -> dict[str, PriorRates]:
    return _table("prior_rates.toml", "taggers", PriorRates)


def prior_rates(tagger: str) -> PriorRates:
    """Raises: UnknownName with the taggers there are rates for."""
    if tagger not in _prior_rates():
        raise UnknownName("set of prior rates for tagger", tagger, list(_prior_rates()))
    return _prior_rates()[tagger]


def narrative(key: str) -> Narrative:
    """Raises: UnknownName with the names there are."""
    if key not in narratives():
        raise UnknownName("narrative", key, list(narratives()))
    return narratives()[key]


def asset(key: str) -> Asset:
    """Raises: UnknownName with the names there are."""
    if key not in assets():
        raise UnknownName("asset", key, list(assets()))
    return assets()[key]


def macro(key: str) -> MacroSeries:
    """Raises: UnknownName with the names there are."""
    if key not in macro_series():
        raise UnknownName("macro series", key, list(macro_series()))
    return macro_series()[key]


def priced_as(key: str) -> str:
    """The instrument whose bars stand for the asset: SPX for EQ_US. Raises: UnknownName."""
    return asset(key).price or key


@lru_cache
def live_tagger_name() -> str:
    """The name, with its revision, of the tagger that reads new articles. Raises: ConfigError."""
    if get_settings().tagger == "keywords":
        return BASELINE_TAGGER
    try:
        name: str = json.loads(WEIGHTS_CARD.read_text())["name"]
    except (OSError, ValueError, KeyError) as error:
        raise ConfigError(
            f"The weights of the tagger minilm are not there ({type(error).__name__} at {WEIGHTS_CARD}). Install them "
            "again, or set STORYSHIFT_TAGGER=keywords."
        ) from None
    return name


def forget() -> None:
    """Read settings and files anew on next use (tests; a changed STORYSHIFT_CONFIG_DIR)."""
    for cached in (get_settings, live_tagger_name, feeds, narratives, assets, macro_series, _prior_rates):
        cached.cache_clear()
