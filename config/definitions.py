"""What people edit in config/: feeds, narratives, assets, macro series, triggers and prior rates, read and checked.

Each file is TOML. A file in STORYSHIFT_CONFIG_DIR replaces the one shipped here as a whole. A mistake is a
ConfigError that names file, entry and field. Does not: touch the database (jobs seed it from here).
"""

import hashlib
import json
import re
import tomllib
from collections.abc import Collection, Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from config.settings import get_settings
from models.errors import BadInput, ConfigError, UnknownName

HERE = Path(__file__).parent
FeedKind = Literal["general", "markets", "macro", "metals", "crypto", "central_bank"]
BASELINE_TAGGER = "keywords@1"
WEIGHTS_CARD = HERE.parent / "nlp" / "weights" / "card.json"
"""What is said of the weights that are shipped; see `weights_folder` for those in use."""
SOURCES = ("ccxt", "yfinance", "fred")
CORE_NARRATIVES = ("safe_haven", "debasement", "liquidity", "fiscal_stress")
NARRATIVE_KEY = re.compile(r"[a-z][a-z0-9_]*")
LEAST_EXAMPLES = 10
OWN_METHOD = 1
"""Changes when nlp/own.py makes other tags of the same entries."""


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


def distinct(texts: Iterable[str]) -> list[str]:
    """Those that hold a word; of those that are equal but for case, space and punctuation the first."""
    found: dict[str, str] = {}
    for text in texts:
        if words := " ".join(re.findall(r"\w+", text.casefold())):
            found.setdefault(words, text)
    return list(found.values())


def _examples(texts: list[str]) -> list[str]:
    found = len(distinct(texts))
    if texts and found < LEAST_EXAMPLES:
        raise ValueError(f"holds {found} distinct texts; at least {LEAST_EXAMPLES} are needed")
    return texts


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
    """A story that news tells. The keyword lists are what the baseline tagger reads; see nlp/keywords.py.

    One that the network of the tagger minilm was not trained on is told by its examples; see nlp/own.py.
    """

    name: str
    definition: str
    pole: Literal["panic", "devaluation", "context"]
    counts: Literal["building", "any"] = "building"
    """Which stories move θ: those whose direction is +1 (building; for liquidity: easing), or any."""
    precision_floor: float = Field(default=0.6, ge=0, le=1)
    """The audited precision below which it is marked wherever it is shown."""
    keywords: list[str] = []
    """Phrases that carry the narrative on their own."""
    together: list[list[list[str]]] = []
    """Groups of phrase lists; one phrase of every list of a group, in one field, carries it too."""
    exceptions: list[str] = []
    """Longer phrases inside which a keyword does not count ("tax haven")."""
    rising: list[str] = []
    """Phrases that say the narrative's force is building."""
    falling: list[str] = []
    hypothesis: str = ""
    """What a model of entailment is asked of a text; the definition if empty."""
    examples: Annotated[list[str], AfterValidator(_examples)] = []
    """Texts that tell it."""
    counterexamples: list[str] = []
    """Texts that only look like it."""


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


class Levels(Definition):
    """Where each state of a trigger begins; it lasts while the measure is at least what `stays` says."""

    on: float
    on_stays: float
    forming: float
    forming_stays: float

    @model_validator(mode="after")
    def _ordered(self) -> "Levels":
        if not (self.on >= self.on_stays and self.on >= self.forming >= self.forming_stays):
            raise ValueError("needs on >= on_stays and on >= forming >= forming_stays")
        return self


class Trigger(Definition):
    name: str


class Cutting(Trigger):
    series: str
    days: int = Field(gt=0)
    fall: float = Field(gt=0)
    fall_stays: float = Field(gt=0)
    ratio: float = Field(gt=0)
    done_on_days: int = Field(gt=0)
    done_of_days: int = Field(gt=0)
    expected_on_days: int = Field(gt=0)
    expected_stays_days: int = Field(gt=0)
    expected_of_days: int = Field(gt=0)


class WeakDollar(Trigger):
    series: str
    average: int = Field(gt=1)
    days: int = Field(gt=0)
    lasts_days: int = Field(gt=0)
    leaves: float = Field(ge=0)


class FiscalPressure(Trigger):
    series: str
    days: int = Field(gt=0)
    rise: float
    rise_stays: float
    ratio: float = Field(gt=0)
    ratio_stays: float = Field(gt=0)
    on_days: int = Field(gt=0)
    of_days: int = Field(gt=0)


class RealYields(Trigger):
    series: str
    days: int = Field(gt=0)
    mean_days: int = Field(gt=0)
    fall: Levels


class MetalsLead(Trigger):
    metals: list[str] = Field(min_length=1)
    lags: str
    days: int = Field(gt=0)
    mean_days: int = Field(gt=0)
    lead: Levels


class BitcoinHedge(Trigger):
    days: int = Field(gt=0)
    before_days: int = Field(gt=0)
    least: int = Field(gt=0)
    least_before: int = Field(gt=0)
    share: float = Field(ge=0, le=1)
    sure: Levels


class Triggers(Definition):
    """The rules of the six triggers; what each field means stands in triggers.toml."""

    cutting: Cutting
    weak_dollar: WeakDollar
    fiscal_pressure: FiscalPressure
    real_yields: RealYields
    metals_lead: MetalsLead
    bitcoin_hedge: BitcoinHedge


class Said(Definition):
    """What a label of a model says: a narrative, and its direction where the label tells one."""

    narrative: str
    direction: Literal[-1, 0, 1] = 0

    @model_validator(mode="before")
    @classmethod
    def _bare(cls, value: Any) -> Any:
        return {"narrative": value} if isinstance(value, str) else value


class NarrativeModel(Definition):
    """A classifier of Hugging Face whose labels are narratives. Labels that are not named here say nothing."""

    reads: Literal["narratives"]
    labels: dict[str, Said] = Field(min_length=1)
    threshold: float = Field(default=0.5, gt=0, lt=1)


class EntailmentModel(Definition):
    """One that tells whether a text entails a narrative's hypothesis."""

    reads: Literal["entailment"]
    labels: dict[str, Literal["entailment", "contradiction"]] = {}
    """Needed only where the model's own labels do not say it."""
    threshold: float = Field(default=0.5, gt=0, lt=1)


class SentimentModel(Definition):
    """One that tells the tone; every label of the model is named."""

    reads: Literal["sentiment"]
    labels: dict[str, Literal[-1, 0, 1]] = Field(min_length=1)


MODELS: dict[str, type[NarrativeModel | EntailmentModel | SentimentModel]] = {
    "narratives": NarrativeModel,
    "entailment": EntailmentModel,
    "sentiment": SentimentModel,
}
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
    return _entries(path, content, table, kind)


def _entries(path: Path, content: dict[str, object], table: str, kind: type[Entry]) -> dict[str, Entry]:
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
    return _narratives(*_read("narratives.toml"))


def _narratives(path: Path, content: dict[str, object]) -> dict[str, Narrative]:
    found = _entries(path, content, "narratives", Narrative)
    for key, narrative in found.items():
        if not NARRATIVE_KEY.fullmatch(key):
            raise ConfigError(f"{path}: narratives.{key}: a key is small letters, digits and _, a letter first.")
        if not (narrative.keywords or narrative.together or narrative.examples):
            raise ConfigError(
                f"{path}: narratives.{key}: keywords: are missing; name some, or give {LEAST_EXAMPLES} examples."
            )
    return found


def add_narrative(key: str, narrative: Narrative) -> Path:
    """Append an entry told by examples to the narratives.toml in effect, whole or not at all. Returns its place.

    Where STORYSHIFT_CONFIG_DIR has none, the shipped one is copied there first. Raises: BadInput, ConfigError.
    """
    refuse_narrative(key)
    source, _ = _read("narratives.toml")
    own = get_settings().config_dir
    target = source if own is None else own / "narratives.toml"
    said = narrative.model_dump(include={"name", "definition", "pole"})
    lines = [f"[narratives.{key}]", *(f"{field} = {_quoted(value)}" for field, value in said.items())]
    for field in ("examples", "counterexamples"):
        if texts := getattr(narrative, field):
            lines += [f"{field} = [", *(f"    {_quoted(text)}," for text in texts), "]"]
    content = source.read_text(encoding="utf-8").rstrip("\n") + "\n\n" + "\n".join(lines) + "\n"
    try:
        _narratives(target, tomllib.loads(content))
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{target}: an entry cannot be added to it ({error}); add it by hand.") from None
    whole = target.resolve().with_suffix(".new")
    whole.write_text(content, encoding="utf-8")
    if target.exists():
        whole.chmod(target.stat().st_mode)
    whole.replace(target.resolve())
    forget()
    return target


def refuse_narrative(key: str) -> None:
    """Raises: BadInput if no narrative of this key can be added."""
    if not NARRATIVE_KEY.fullmatch(key):
        raise BadInput(f"{key!r} cannot be a narrative's key: that is small letters, digits and _, a letter first.")
    if key in narratives() or key in trained_narratives():
        place, _ = _read("narratives.toml")
        raise BadInput(f"There is a narrative {key} already. Choose another key, or edit {place}.")


def _quoted(text: str) -> str:
    """A basic string of TOML; what cannot be shown is a space."""
    return json.dumps("".join(char if char.isprintable() else " " for char in text), ensure_ascii=False)


@lru_cache
def _other_models() -> dict[str, NarrativeModel | EntailmentModel | SentimentModel]:
    """How each model is read that is not ours, by OWNER/NAME."""
    path, content = _read("narratives.toml")
    raw = content.get("models", {})
    if not isinstance(raw, dict):
        raise ConfigError(f'{path}: models must be entries [models."OWNER/NAME"].')
    found = {}
    for key, value in raw.items():
        reads = str(value.get("reads")) if isinstance(value, dict) else ""
        if reads not in MODELS:
            raise ConfigError(f"{path}: models.{key}: reads: must be one of {', '.join(MODELS)}.")
        entry = found[key] = _entry(path, f"models.{key}", MODELS[reads], value)
        for label, said in entry.labels.items():
            if isinstance(said, Said) and said.narrative not in narratives():
                raise ConfigError(
                    f"{path}: models.{key}: labels.{label}: there is no narrative {said.narrative!r}. "
                    f"Known: {', '.join(narratives())}."
                )
    return found


def tagger_model(name: str) -> NarrativeModel | EntailmentModel:
    """How the model hf:OWNER/NAME@REVISION is read as a tagger. Raises: ConfigError."""
    path, key, found = _other_model(name)
    if isinstance(found, SentimentModel):
        raise ConfigError(
            f"{path}: models.{key}: reads: sentiment tells no narratives, so STORYSHIFT_TAGGER cannot name it; "
            "name it in STORYSHIFT_SENTIMENT."
        )
    return found


def sentiment_model(name: str) -> SentimentModel:
    """How the model hf:OWNER/NAME@REVISION is read for tones. Raises: ConfigError."""
    path, key, found = _other_model(name)
    if not isinstance(found, SentimentModel):
        raise ConfigError(
            f"{path}: models.{key}: reads: {found.reads} tells no tone, so STORYSHIFT_SENTIMENT cannot name it; "
            "name it in STORYSHIFT_TAGGER."
        )
    return found


def model_and_revision(name: str) -> tuple[str, str]:
    """OWNER/NAME and REVISION of hf:OWNER/NAME@REVISION."""
    model, _, revision = name.removeprefix("hf:").rpartition("@")
    return model, revision


def _other_model(name: str) -> tuple[Path, str, NarrativeModel | EntailmentModel | SentimentModel]:
    path, _ = _read("narratives.toml")
    key, _ = model_and_revision(name)
    if key not in _other_models():
        raise ConfigError(
            f'{path}: there is no entry [models."{key}"], which says what the labels of this model mean; add it '
            "(docs/other-models.md)."
        )
    return path, key, _other_models()[key]


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
def triggers() -> Triggers:
    path, content = _read("triggers.toml")
    found = _entry(path, "triggers", Triggers, content.get("triggers", {}))
    for key in (*found.metals_lead.metals, found.metals_lead.lags):
        if key not in assets():
            raise ConfigError(f"{path}: triggers.metals_lead: there is no asset {key!r}.")
    return found


@lru_cache
def _prior_rates() -> dict[str, PriorRates]:
    return _table("prior_rates.toml", "taggers", PriorRates)


def prior_rates(tagger: str) -> PriorRates:
    """What follows a + in the tagger's name changes none of the rates. Raises: UnknownName with those there are."""
    base = tagger.partition("+")[0]
    if base not in _prior_rates():
        raise UnknownName("set of prior rates for tagger", tagger, list(_prior_rates()))
    return _prior_rates()[base]


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
    settings = get_settings()
    if settings.tagger == "keywords":
        name = BASELINE_TAGGER
    elif settings.tagger == "minilm":
        name = name_with_own(weights_card()["name"], own_narratives(narratives(), trained_narratives()))
    else:
        name = settings.tagger
    return f"{name}+{settings.sentiment}" if settings.sentiment else name


def trained_narratives() -> list[str]:
    """Those that the network of the tagger minilm knows. Raises: ConfigError."""
    found: list[str] = weights_card()["narratives"]
    return found


def learned_narratives() -> list[str]:
    """Those that a network learns when it is trained anew: all but those told by examples."""
    return [key for key, found in narratives().items() if not found.examples]


def learned_assets() -> list[str]:
    """Those that a network learns: all that have a name."""
    return [key for key, found in assets().items() if found.aliases or found.exact]


def own_narratives(found: Mapping[str, Narrative], trained: Collection[str]) -> dict[str, Narrative]:
    return {key: narrative for key, narrative in found.items() if key not in trained}


def name_with_own(base: str, own: Mapping[str, Narrative]) -> str:
    """A tagger's name with a hash of what tells the narratives that its network does not know, if there are any."""
    if not own:
        return base
    silent = {"name", "definition", "pole", "counts", "hypothesis", "precision_floor"}
    told = {key: narrative.model_dump(exclude=silent) for key, narrative in own.items()}
    digest = hashlib.sha256(json.dumps([OWN_METHOD, told], sort_keys=True).encode())
    return f"{base}+own.{digest.hexdigest()[:8]}"


def weights_folder() -> Path:
    """Where the weights of the tagger minilm and their card lie: STORYSHIFT_WEIGHTS, or those that are shipped."""
    return get_settings().weights or WEIGHTS_CARD.parent


@lru_cache
def weights_card() -> dict[str, Any]:
    """What is said of the weights in use; its name is that of the tagger `minilm`. Raises: ConfigError."""
    path = weights_folder() / WEIGHTS_CARD.name
    try:
        card: dict[str, Any] = json.loads(path.read_text())
        return card | {key: card[key] for key in ("name", "narratives")}
    except (OSError, ValueError, KeyError, TypeError) as error:
        what = "Install them again" if get_settings().weights is None else "Set STORYSHIFT_WEIGHTS to their folder"
        raise ConfigError(
            f"The weights of the tagger minilm are not there ({type(error).__name__} at {path}). {what}, or set "
            "STORYSHIFT_TAGGER=keywords."
        ) from None


def forget() -> None:
    """Read settings and files anew on next use (tests; a changed STORYSHIFT_CONFIG_DIR)."""
    files = (feeds, narratives, assets, macro_series, triggers, _prior_rates, _other_models, weights_card)
    for cached in (get_settings, live_tagger_name, *files):
        cached.cache_clear()
