from pathlib import Path

import pytest

from config import definitions
from models.errors import ConfigError, UnknownName

CODEBOOK_NARRATIVES = {
    "safe_haven": "panic",
    "debasement": "devaluation",
    "liquidity": "devaluation",
    "fiscal_stress": "devaluation",
    "geopolitical_risk": "context",
    "trade_conflict": "context",
    "hard_asset_supply": "context",
    "btc_monetary_hedge": "context",
    "btc_risk_asset": "context",
}
CODEBOOK_ASSETS = "BTC ETH CRYPTO XAU XAG METAL OIL GAS USD EUR GBP JPY CNY CHF FX UST BOND EQ_US EQ VIX".split()


def test_every_narrative_and_asset_of_the_codebook_is_defined() -> None:
    assert {key: found.pole for key, found in definitions.narratives().items()} == CODEBOOK_NARRATIVES
    assert set(CODEBOOK_ASSETS) <= set(definitions.assets())
    assert all(definitions.assets()[key].aliases or definitions.assets()[key].exact for key in CODEBOOK_ASSETS)


def test_there_are_at_least_forty_feeds_and_none_claims_to_be_verified_unseen() -> None:
    found = definitions.feeds()
    assert len(found) >= 40
    assert {feed.kind for feed in found} >= {"markets", "macro", "metals", "crypto", "central_bank"}
    assert {feed.verified for feed in found} == {"never"}


def test_every_priced_asset_names_a_calendar_that_exists() -> None:
    import exchange_calendars

    known = set(exchange_calendars.get_calendar_names())
    assert {asset.calendar for asset in definitions.assets().values()} <= known


def test_an_asset_without_bars_of_its_own_is_priced_by_its_instrument() -> None:
    assert definitions.priced_as("EQ_US") == "SPX"
    assert definitions.priced_as("BTC") == "BTC"


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(UnknownName, match=r"no narrative named 'panic'.*safe_haven"):
        definitions.narrative("panic")


def own(folder: Path, monkeypatch: pytest.MonkeyPatch, file: str, text: str) -> None:
    (folder / file).write_text(text, encoding="utf-8")
    monkeypatch.setenv("STORYSHIFT_CONFIG_DIR", str(folder))
    definitions.forget()


def test_a_file_of_ones_own_replaces_ours_and_the_others_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own(tmp_path, monkeypatch, "feeds.toml", '[[feeds]]\nurl = "https://a.org/f"\noutlet = "A"\nkind = "macro"\n')
    assert [feed.outlet for feed in definitions.feeds()] == ["A"]
    assert "safe_haven" in definitions.narratives()


@pytest.mark.parametrize(
    ("file", "text", "told"),
    [
        ("feeds.toml", "[[feeds]", "not readable as TOML"),
        ("feeds.toml", '[[feeds]]\nurl = "ftp://a"\noutlet = "A"\nkind = "macro"\n', r"feeds\[1\]: url: .*http"),
        ("feeds.toml", '[[feeds]]\nurl = "https://a"\noutlet = "A"\nkind = "gossip"\n', r"feeds\[1\]: kind"),
        ("feeds.toml", '[[feeds]]\nurl = "https://a"\noutlet = "A"\nkind = "macro"\n' * 2, "stands there twice"),
        ("narratives.toml", '[narratives.x]\nname = "X"\n', r"narratives\.x: definition"),
        ("narratives.toml", "", "no \\[narratives"),
        ("assets.toml", '[assets.A]\nname = "A"\nclose = "noon"\n', r"assets\.A: close: .*17:00 America/New_York"),
        ("assets.toml", '[assets.A]\nname = "A"\nprice = "B"\n', "no asset 'B'"),
        ("assets.toml", '[assets.A]\nname = "A"\nalias = ["a"]\n', r"assets\.A: alias"),
    ],
)
def test_a_mistake_in_a_file_is_named_with_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str, text: str, told: str
) -> None:
    own(tmp_path, monkeypatch, file, text)
    read = {"feeds.toml": definitions.feeds, "narratives.toml": definitions.narratives}.get(file, definitions.assets)
    with pytest.raises(ConfigError, match=told):
        read()


def test_a_folder_that_is_not_there_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STORYSHIFT_CONFIG_DIR", str(tmp_path / "nowhere"))
    definitions.forget()
    with pytest.raises(ConfigError, match="is not a folder"):
        definitions.feeds()


def test_a_setting_of_the_wrong_kind_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STORYSHIFT_COLLECT_MINUTES", "often")
    definitions.forget()
    with pytest.raises(ConfigError, match="STORYSHIFT_COLLECT_MINUTES='often'"):
        definitions.get_settings()


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ("fall = 0.20", 'fall = "much"', r"triggers: cutting\.fall: "),
        ("fall = 0.20", "fall = -1", r"triggers: cutting\.fall: .*greater than 0"),
        ("days = 183", "", r"triggers: cutting\.days: Field required"),
        ("share = 0.5", "part = 0.5", r"triggers: bitcoin_hedge\.share: Field required"),
        ("on_stays = 0.15", "on_stays = 0.35", r"real_yields\.fall: .*on >= on_stays"),
        ('lags = "BTC"', 'lags = "DOGE"', "metals_lead: there is no asset 'DOGE'"),
        ("[triggers.weak_dollar]", "[triggers.weak_euro]", r"triggers: weak_dollar: Field required"),
    ],
)
def test_a_mistake_in_a_trigger_is_named_with_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: str, after: str, told: str
) -> None:
    ours = (definitions.HERE / "triggers.toml").read_text(encoding="utf-8")
    assert before in ours
    own(tmp_path, monkeypatch, "triggers.toml", ours.replace(before, after, 1))
    with pytest.raises(ConfigError, match=told):
        definitions.triggers()
