"""The tagger minilm: what it makes of the encoder's readings (by a fake), and the shipped weights themselves."""

import json
import random
from pathlib import Path

import numpy as np
import pytest

from config import definitions
from config.definitions import WEIGHTS_CARD, Asset
from jobs.replay.briefs import briefs
from models.tags import Tagged, Text
from nlp.minilm import Encoder, MiniLMTagger, Reading, first_look, readable, softmax

NARRATIVES = list(definitions.narratives())
QUALITY = Path(__file__).parent / "quality"


class FakeEncoder:
    """Reads "[liquidity -1 expected]" in a window as just that, and gold wherever "gold" is meant."""

    card = {  # noqa: RUF012
        "name": "fake@1",
        "narratives": ["safe_haven", "liquidity"],
        "assets": ["XAU", "BTC"],
        "calibration": {"scale": [1.0, 1.0], "shift": [0.0, 0.0], "phrases": [2.0, 2.0]},
        "thresholds": {"safe_haven": 0.5, "liquidity": 0.5},
        "directions": {  # as the encoder has it
            key: [[0.0, *row, 0.0, 0.0] for row in np.eye(3).tolist()] for key in ("safe_haven", "liquidity")
        },
        "first_look_from": 0.0,
        "first_look_body_from": 0.0,
        "asset_named_from": {"XAU": 0.5, "BTC": 0.5},
        "asset_unnamed_from": 0.9,
        "pooling": {"tail": 0.5},
    }

    def tokens(self, texts: list[str]) -> list[np.ndarray]:
        self.texts = texts
        return [np.array([place]) for place in range(len(texts))]

    def first_look(self, tokens: np.ndarray) -> float:
        return 1.0 if "[" in self.texts[tokens[0]] else -1.0

    def read(self, tokens: list[np.ndarray]) -> list[Reading]:
        return [self._read(self.texts[place[0]]) for place in tokens]

    def _read(self, text: str) -> Reading:
        said = text.partition("[")[2].partition("]")[0].split()
        narratives = [3.0 if key in said else -3.0 for key in self.card["narratives"]]
        direction = np.eye(3)[1 + int(next((word for word in said if word in ("1", "-1")), "0"))] * 5
        modality = [-2.0, 2.0] if "expected" in said else [2.0, -2.0]
        assets = [3.0 if "gold" in text and "medal" not in text else -3.0, 5.0 if "coin" in text else -3.0]
        return Reading(
            np.array(narratives),
            np.stack([direction] * 2),
            np.array(modality),
            np.array(assets),
            np.stack([direction] * 2),
            np.zeros(4),
        )


@pytest.fixture
def fake() -> MiniLMTagger:
    assets = {"XAU": Asset(name="Gold", aliases=["gold"]), "BTC": Asset(name="Bitcoin", aliases=["bitcoin"])}
    return MiniLMTagger({}, assets, FakeEncoder())  # type: ignore[arg-type]


def one(tagger: MiniLMTagger, **fields: str) -> Tagged:
    (found,) = tagger.tag([Text("1", fields)])
    return found


def test_a_headline_is_tagged_with_direction_modality_and_its_evidence(fake: MiniLMTagger) -> None:
    found = one(fake, title="Fed [liquidity -1 expected]")
    (tag,) = (tag for tag in found.narratives if tag.label)
    assert (tag.narrative, tag.direction, tag.modality) == ("liquidity", -1, "expected")
    assert tag.score == pytest.approx(1 / (1 + np.exp(-3)), abs=1e-4)
    assert [(e.field, e.start, e.end, e.text) for e in tag.evidence] == [
        ("title", 0, 27, "Fed [liquidity -1 expected]")
    ]


def test_a_long_text_is_not_tagged_for_a_passing_word_and_is_for_a_theme(fake: MiniLMTagger) -> None:
    plain = "Nothing of note was said about anything at all by anybody in the room on that long day. " * 3
    told = "The word [safe_haven 1] was said by somebody in that room on that long day, and then again. " * 3
    passing = one(fake, title="A day", body="\n".join([plain] * 9 + [told]))
    assert not any(tag.label for tag in passing.narratives)
    theme = one(fake, title="A day", body="\n".join([plain, told] * 5))
    assert [tag.narrative for tag in theme.narratives if tag.label] == ["safe_haven"]
    assert all(span.field == "body" and "safe_haven" in span.text for span in theme.narratives[0].evidence)


def test_an_asset_is_kept_where_it_is_meant_with_its_spans_and_tone(fake: MiniLMTagger) -> None:
    found = one(fake, title="gold [liquidity 1] climbs")
    (mention,) = found.assets
    assert (mention.asset, mention.tone, [(s.start, s.end) for s in mention.spans]) == ("XAU", 1.0, [(0, 4)])
    assert one(fake, title="A gold medal").assets == ()
    assert [mention.asset for mention in one(fake, title="the coin [liquidity 1]").assets] == ["BTC"]


def test_what_the_first_look_passes_over_is_not_read(fake: MiniLMTagger) -> None:
    assert one(fake, title="liquidity") == Tagged("1", (), ())


def test_the_first_look_adds_up_words_and_pairs() -> None:
    table = np.zeros(1 << 18, dtype=np.float32)
    table[0], table[7], table[9] = 0.5, 2.0, -1.0
    table[(7 * 31_013 + 9 * 7) % (len(table) - 40_000) + 40_000] = 3.0
    assert first_look(table, np.array([101, 7, 9, 102])) == pytest.approx(0.5 + 4.0 / np.sqrt(2))
    assert first_look(table, np.array([101, 102])) == 0.5


def test_entities_and_written_line_ends_are_read_as_a_person_would() -> None:
    assert readable("S&amp;P\\r\\n500  up\n1 %") == "S&P 500 up 1 %"
    assert softmax(np.array([[1.0, 1.0]])).tolist() == [[0.5, 0.5]]


# -- the shipped weights ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def shipped() -> MiniLMTagger:
    return MiniLMTagger(definitions.narratives(), definitions.assets(), Encoder())


def test_the_weights_fit_the_definitions_and_are_small(shipped: MiniLMTagger) -> None:
    card = json.loads(WEIGHTS_CARD.read_text())
    assert (card["name"], card["narratives"]) == (shipped.name, NARRATIVES)
    assert set(card["assets"]) == {key for key, asset in definitions.assets().items() if asset.aliases or asset.exact}
    assert sum(file.stat().st_size for file in WEIGHTS_CARD.parent.iterdir()) < 30_000_000


TEXTS = [Text(brief.id, {"title": brief.title, "summary": brief.summary}) for brief in briefs()[:60]]


def test_what_is_said_of_a_text_does_not_depend_on_what_is_read_with_it(shipped: MiniLMTagger) -> None:
    together = {tagged.id: tagged for tagged in shipped.tag(TEXTS)}
    shuffled = random.Random(1).sample(TEXTS, len(TEXTS))
    assert {tagged.id: tagged for tagged in shipped.tag(shuffled)} == together
    assert all(next(shipped.tag([text])) == together[text.id] for text in TEXTS[:10])


@pytest.mark.parametrize(
    "content",
    [
        "",
        " ",
        "\U0001f680\U0001f4a5",
        "\ufffd" * 9,
        "?" * 5_000,
        "x" * 200_000,
        "<b>" * 3_000,
        "gold " * 20_000,
        "Gold steigt",
    ],
)
def test_any_text_has_a_defined_answer(shipped: MiniLMTagger, content: str) -> None:
    found = one(shipped, title=content[:1_000], body=content)
    assert all(0 <= tag.score <= 1 and tag.direction in (-1, 0, 1) for tag in found.narratives)
    assert all(mention.tone in (-1, 0, 1) for mention in found.assets)
