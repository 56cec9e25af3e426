"""Plain logistic regressions, as the tagger is held against them. Needs the extra `train`."""

import random
from pathlib import Path

import pytest
from conftest import FILLERS, needs

from models.errors import BadFile, BadInput
from models.tags import Tagged, Text
from nlp.units import Judgement, Unit

baselines = needs("nlp.baselines")
NARRATIVES = ["safe_haven", "liquidity", "never", "once", "always"]
CARRIED = {"fright": "safe_haven", "easing": "liquidity"}


def unit(number: int) -> Unit:
    """Of its words "fright" and "easing" tell a narrative, "rises" and "falls" the direction, "expected" modality."""
    rng = random.Random(number)
    word, way = ["fright", "easing", ""][number % 3], rng.choice(["rises", "falls"])
    direction = 1 if way == "rises" else -1
    modality = rng.choice(["expected", "actual"])
    narratives = {"always": Judgement(0)}
    if word:
        narratives[CARRIED[word]] = Judgement(direction, modality if word == "easing" else None)
    if number == 0:
        narratives["once"] = Judgement(0)
    return Unit(str(number), " ".join([word, way, modality, *rng.sample(FILLERS, 3)]), narratives, {})


UNITS = [unit(number) for number in range(60)]
TEXTS = [Text(one.id, {"text": one.text}) for one in (unit(number) for number in range(100, 160))]


def one(tagger: object, text: str) -> Tagged:
    (found,) = tagger.tag([Text("1", {"text": text})])  # type: ignore[attr-defined]
    return found


def told(found: Tagged) -> list[tuple[str, int, str | None]]:
    return [(tag.narrative, tag.direction, tag.modality) for tag in found.narratives if tag.label]


def test_the_words_that_tell_a_narrative_its_direction_and_modality_are_found() -> None:
    tagger = baselines.by_words(UNITS, NARRATIVES)
    assert tagger.name == "tfidf@1"
    assert told(one(tagger, "fright rises word1 word2")) == [("safe_haven", 1, None)]
    assert told(one(tagger, "easing falls expected word3")) == [("liquidity", -1, "expected")]
    assert told(one(tagger, "easing rises actual word4")) == [("liquidity", 1, "actual")]
    assert told(one(tagger, "word5 word6 rises")) == []
    assert one(tagger, "").assets == ()


def test_an_encoder_as_it_comes_tells_them_too(encoder: Path) -> None:
    tagger = baselines.by_encoder(encoder, UNITS, NARRATIVES)
    assert tagger.name == "encoder+logistic@1"
    assert told(one(tagger, "fright rises word1 word2"))[0][:2] == ("safe_haven", 1)
    assert told(one(tagger, "easing falls expected word3")) == [("liquidity", -1, "expected")]
    assert told(one(tagger, "word5 word6 rises")) == []


def test_a_narrative_that_none_few_or_all_units_carry_is_not_learned() -> None:
    for found in (one(baselines.by_words(UNITS, NARRATIVES), "fright"), one(baselines.by_words(UNITS, []), "fright")):
        assert {tag.narrative for tag in found.narratives} <= {"safe_haven", "liquidity"}


def test_four_units_are_enough_and_one_direction_and_no_modality_are_learned_as_such() -> None:
    units = [Unit(str(n), f"fright {FILLERS[n]} so", {"liquidity": Judgement(-1)}, {}) for n in range(baselines.FOLDS)]
    others = [Unit(str(n), f"museum {FILLERS[n]} so", {}, {}) for n in range(4, 4 + baselines.FOLDS)]
    (tag,) = one(baselines.by_words(units + others, ["liquidity"]), "fright").narratives
    assert (tag.label, tag.direction, tag.modality) == (True, -1, None)
    assert one(baselines.by_words(units[1:] + others, ["liquidity"]), "fright").narratives == ()


def test_what_is_learned_twice_says_the_same_whatever_stands_beside_a_text(encoder: Path) -> None:
    for learn in (baselines.by_words, lambda units, keys: baselines.by_encoder(encoder, units, keys)):
        first, again = learn(UNITS, NARRATIVES), learn(UNITS, NARRATIVES)
        said = list(first.tag(TEXTS))
        assert list(again.tag(TEXTS)) == said
        assert [tagged.id for tagged in said] == [text.id for text in TEXTS]
        alone = [next(iter(first.tag([text]))) for text in TEXTS[:5]]
        for single, beside in zip(alone, said, strict=False):
            assert [t.score for t in single.narratives] == pytest.approx([t.score for t in beside.narratives], abs=1e-4)


def test_what_nothing_can_be_learned_from_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="from 2 labelled texts without a word in common"):
        baselines.by_words([Unit("1", "gold", {}, {}), Unit("2", "tea", {}, {})], NARRATIVES)
    with pytest.raises(BadFile, match=r"is no folder with an encoder: it has no tokenizer\.json"):
        baselines.by_encoder(tmp_path, UNITS, NARRATIVES)
