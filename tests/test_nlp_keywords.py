import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config import definitions
from config.definitions import Asset, Narrative
from models.tags import Tagged, Text
from nlp.keywords import MAX_CHARACTERS, KeywordTagger


@pytest.fixture(scope="module")
def tagger() -> KeywordTagger:
    definitions.forget()
    return KeywordTagger(definitions.narratives(), definitions.assets())


def said(tagger: KeywordTagger, title: str, **fields: str) -> Tagged:
    return next(tagger.tag([Text("x", {"title": title} | fields)]))


def labels(tagged: Tagged) -> set[str]:
    return {tag.narrative for tag in tagged.narratives if tag.label}


def assets(tagged: Tagged) -> set[str]:
    return {mention.asset for mention in tagged.assets}


@pytest.mark.parametrize(
    ("title", "narrative", "direction"),
    [
        ("Investors flock to safe havens as war fears mount", "safe_haven", 1),
        ("Safe-haven demand fades as tensions ease", "safe_haven", -1),
        ("Gold is the best inflation hedge, fund manager says", "debasement", None),
        ("Dollar debasement fears grow as deficits swell", "debasement", 1),
        ("Fed cuts interest rates by half a point", "liquidity", 1),
        ("ECB raises rates to fight inflation", "liquidity", -1),
        ("Moody's downgrades U.S. credit rating on debt burden", "fiscal_stress", 1),
        ("China hits back with new tariffs on soybeans", "trade_conflict", None),
        ("Missile strike raises fears of a wider war", "geopolitical_risk", None),
        ("Silver market heads for a fifth year of deficit as mine output falls", "hard_asset_supply", None),
        ("Bitcoin is digital gold, says asset manager", "btc_monetary_hedge", None),
        ("Bitcoin slides with tech stocks in risk-off trade", "btc_risk_asset", None),
    ],
)
def test_a_plain_headline_is_tagged_with_its_narrative(
    tagger: KeywordTagger, title: str, narrative: str, direction: int | None
) -> None:
    found = said(tagger, title)
    assert narrative in labels(found)
    if direction is not None:
        assert next(tag.direction for tag in found.narratives if tag.narrative == narrative) == direction


@pytest.mark.parametrize(
    "title",
    [
        "Local bakery wins prize for its sourdough",
        "Panama remains a tax haven, campaigners say",
        "Museum becomes a safe haven for refugees",
        "Striker signs a three-year deal",
        "Apple unveils a new phone",
    ],
)
def test_ordinary_news_carries_no_core_narrative(tagger: KeywordTagger, title: str) -> None:
    assert not labels(said(tagger, title)) & set(definitions.CORE_NARRATIVES)


@pytest.mark.parametrize(
    ("title", "expected"),
    [
        ("Swimmer wins gold medal in Paris", set()),
        ("Goldman Sachs posts record profit", set()),
        ("There is a silver lining for workers", set()),
        ("Silver Lake buys a software firm", set()),
        ("Dollar General opens 300 shops", set()),
        ("Gold and silver soar while bitcoin lags", {"XAU", "XAG", "BTC"}),
        ("Euro falls against the dollar as oil slips", {"EUR", "USD", "OIL"}),
        ("ETH and BTC rise as Treasury yields fall", {"ETH", "BTC", "UST"}),
    ],
)
def test_assets_are_named_and_their_namesakes_are_not(tagger: KeywordTagger, title: str, expected: set[str]) -> None:
    assert assets(said(tagger, title)) == expected


def test_modality_tells_a_step_taken_from_one_expected(tagger: KeywordTagger) -> None:
    def modality(title: str) -> str | None:
        return next(t.modality for t in said(tagger, title).narratives if t.narrative == "liquidity")

    assert modality("Fed cuts rates to zero") == "actual"
    assert modality("Fed expected to cut rates in September") == "expected"


def test_spans_are_code_points_of_the_field_also_after_emoji_and_curly_quotes(tagger: KeywordTagger) -> None:
    title = "🚀🚀 “Gold” jumps – investors’ flight to safety goes on 金"
    found = said(tagger, title, summary="Later, gold again")
    gold = next(mention for mention in found.assets if mention.asset == "XAU")
    texts = {"title": title, "summary": "Later, gold again"}
    spans = [*gold.spans, *(span for tag in found.narratives for span in tag.evidence)]
    assert {span.field for span in gold.spans} == {"title", "summary"}
    assert "safe_haven" in labels(found)
    for span in spans:
        assert texts[span.field][span.start : span.end] == span.text


def test_a_passing_word_in_a_long_body_is_no_label_but_a_theme_of_it_is(tagger: KeywordTagger) -> None:
    filler = "The company sells shoes in many towns. " * 60
    passing = said(tagger, "Shoe seller grows", body=filler + "Its owner calls cash a safe haven. " + filler)
    assert "safe_haven" not in labels(passing)
    theme = "Safe havens rose. Flight to safety. Risk aversion grew. Haven demand. Panic selling. Investors fled. "
    assert "safe_haven" in labels(said(tagger, "Shoe seller grows", body=filler + theme + filler))


def test_batched_equals_one_by_one_and_order_does_not_matter(tagger: KeywordTagger) -> None:
    texts = [Text(str(n), {"title": f"Gold rises {n} as Fed cuts rates"}) for n in range(20)] + [Text("e", {})]
    together = list(tagger.tag(texts))
    assert together == [next(tagger.tag([text])) for text in texts]
    assert sorted(tagger.tag(reversed(texts)), key=lambda t: t.id) == sorted(together, key=lambda t: t.id)


def test_a_word_said_ten_times_says_no_more_than_once(tagger: KeywordTagger) -> None:
    once, often = (said(tagger, "safe haven. " * n) for n in (1, 10))
    assert [tag.score for tag in once.narratives] == [tag.score for tag in often.narratives]


@pytest.mark.parametrize(
    "text", ["", "   \n\t", "🤷" * 50, "a" * (MAX_CHARACTERS + 500), "\x00\u202e\ufeff", "gold " * 40_000]
)
def test_odd_text_has_a_defined_answer(tagger: KeywordTagger, text: str) -> None:
    found = said(tagger, text)
    assert not labels(found)
    for mention in found.assets:
        assert all(span.end <= MAX_CHARACTERS for span in mention.spans)


@settings(max_examples=60, deadline=None)
@given(
    st.text(max_size=200),
    st.sampled_from(["gold slips", "safe haven", "U.S. debt ceiling", "Fed cut"]),
    st.text(max_size=200),
)
def test_any_text_gives_scores_and_spans_within_it(tagger: KeywordTagger, before: str, known: str, after: str) -> None:
    text = f"{before} {known} {after}"
    found = next(tagger.tag([Text("x", {"text": text})]))
    for tag in found.narratives:
        assert 0 < tag.score <= 1
        assert tag.label is (tag.score >= 0.5)
        assert tag.evidence
    for span in [s for t in found.narratives for s in t.evidence] + [s for m in found.assets for s in m.spans]:
        assert text[span.start : span.end] == span.text


def narrative(**fields: object) -> Narrative:
    rest = {"name": "N", "definition": "d", "pole": "context", "keywords": ["alpha beta"]}
    return Narrative.model_validate(rest | fields)


def test_together_needs_one_of_each_list_and_one_word_does_not_serve_two() -> None:
    tagger = KeywordTagger({"n": narrative(keywords=[], together=[[["up", "gold up"], ["gold"]]])}, {})
    assert labels(said(tagger, "gold goes up")) == {"n"}
    assert labels(said(tagger, "it goes up")) == set()
    assert labels(next(tagger.tag([Text("x", {"title": "gold", "summary": "up"})]))) == set()
    overlap = KeywordTagger({"n": narrative(keywords=[], together=[[["gold up"], ["gold"]]])}, {})
    assert labels(said(overlap, "gold up")) == set()


def test_an_exception_silences_only_what_lies_inside_it() -> None:
    tagger = KeywordTagger({"n": narrative(exceptions=["not alpha beta"])}, {})
    assert labels(said(tagger, "not alpha beta")) == set()
    assert labels(said(tagger, "not alpha beta, but alpha beta elsewhere")) == {"n"}


def test_the_longest_name_wins_and_exact_names_need_their_case() -> None:
    first = Asset(name="A", aliases=["gold"], exact=["AU"])
    second = Asset(name="B", aliases=["gold miner"])
    tagger = KeywordTagger({}, {"A": first, "B": second})
    assert assets(said(tagger, "gold miner")) == {"B"}
    assert assets(said(tagger, "AU")) == {"A"}
    assert assets(said(tagger, "au")) == set()
