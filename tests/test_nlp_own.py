"""Narratives told by examples: planted topics through a fake encoder, and what a folder of one's own may say."""

import json
import random
import shutil
import tomllib
from collections.abc import Iterable
from dataclasses import replace
from functools import cache
from pathlib import Path
from zlib import crc32

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest
from test_nlp_minilm import FakeEncoder

from config import definitions
from config.definitions import Narrative
from models.errors import BadInput, ConfigError
from models.tags import Tagged, Text
from nlp.minilm import MiniLMTagger, Reading, unit_length
from nlp.own import AT_THRESHOLD, Assessment, Space, assess, fit, share
from nlp.windows import windows

WIDTH = 90


@cache
def embedded(text: str) -> np.ndarray:
    """Noise that is the text's own, and what it is about as a direction."""
    found = np.random.default_rng(crc32(text.encode())).normal(size=WIDTH)
    for seed, word in enumerate(("bubble", "chips", "bank")):
        if word in text.casefold():
            found += 1.5 * np.random.default_rng(seed).normal(size=WIDTH)
    return found


class PlantedEncoder(FakeEncoder):
    """Texts are about the bubble, chips and bank that they name; `true` stories of the bubble are in the background."""

    def __init__(self, true: int = 0) -> None:
        self.true = true

    def background(self) -> np.ndarray:
        news = [f"news {n}" for n in range(800 - self.true)] + [f"bubble {n}" for n in range(self.true)]
        return unit_length(np.stack([embedded(text) for text in news]))

    def _read(self, text: str) -> Reading:
        return replace(super()._read(text), embedding=embedded(text))


def own(examples: Iterable[str], counterexamples: Iterable[str] = (), **more: object) -> Narrative:
    said = {"name": "N", "definition": "D", "pole": "context", **more}
    return Narrative.model_validate(said | {"examples": list(examples), "counterexamples": list(counterexamples)})


BUBBLE = own(f"Some say bubble, as {n} did" for n in range(20))


def tagger(narrative: Narrative, true: int = 0) -> MiniLMTagger:
    return MiniLMTagger({"own": narrative}, {}, PlantedEncoder(true))  # type: ignore[arg-type]


def assessed(narrative: Narrative, true: int = 0) -> Assessment:
    return assess(narrative, PlantedEncoder(true))  # type: ignore[arg-type]


def labelled(by: MiniLMTagger, texts: Iterable[str]) -> float:
    """The share of the texts, as titles, that are labelled."""
    found = list(by.tag(Text(str(n), {"title": text}) for n, text in enumerate(texts)))
    return float(np.mean([any(tag.label for tag in one.narratives) for one in found]))


NEW = [f"A bubble it is, {n}" for n in range(200)]
OTHER = [f"Other news, {n}" for n in range(400)]


# -- what is told -----------------------------------------------------------------------------------------------------


def test_a_planted_topic_is_found_in_new_texts_and_little_else() -> None:
    by = tagger(BUBBLE)
    assert labelled(by, NEW) > 0.9
    assert labelled(by, OTHER) < 0.01


def test_its_own_stories_among_the_background_do_not_hide_it() -> None:
    """Though more are missed: the threshold cannot lie among them."""
    assert labelled(tagger(BUBBLE, true=30), NEW) > 0.4
    assert assessed(BUBBLE, true=30).background.count > 5


def test_counterexamples_take_near_misses_away_and_leave_the_topic() -> None:
    mixed = own(f"Chips in a bubble, {n}" for n in range(20))
    with_near = own(mixed.examples, (f"Chips alone, {n}" for n in range(10)))
    near = [f"Chips are made, {n}" for n in range(200)]
    before, after = (labelled(tagger(found), near) for found in (mixed, with_near))
    assert after < before / 2
    assert labelled(tagger(with_near), [f"The chips bubble, {n}" for n in range(200)]) > 0.9
    assert assessed(with_near).counterexamples is not None
    assert assessed(mixed).counterexamples is None


def test_direction_is_none_and_evidence_the_best_windows() -> None:
    words = "and so it went on and on for the whole of that long day in the town, said one who was there. "
    body = "\n".join(["Nothing " + words * 2, "A bubble! " + words * 2, "More bubble. " + words * 2])
    (found,) = tagger(BUBBLE).tag([Text("1", {"title": "A day", "body": body})])
    (tag,) = found.narratives
    assert (tag.narrative, tag.label, tag.direction, tag.modality) == ("own", True, 0, None)
    assert all("bubble" in span.text for span in tag.evidence)
    assert {span.field for span in tag.evidence} == {"body"}


def test_a_long_text_is_not_tagged_for_a_passing_word() -> None:
    words = "and so it went on and on for the whole of that long day in the town, said one who was there. "
    body = "\n".join(["A bubble. " + words * 2] + [f"Part {n} was dull, " + words * 2 for n in range(9)])
    assert labelled(tagger(BUBBLE), ["A bubble"]) == 1
    (found,) = tagger(BUBBLE).tag([Text("1", {"title": "A day", "body": body})])
    assert not any(tag.label for tag in found.narratives)


def test_a_score_is_a_cautious_probability_and_a_label_begins_at_its_threshold() -> None:
    by = tagger(BUBBLE)
    tags = [tag for one in by.tag(Text("", {"title": text}) for text in NEW + OTHER) for tag in one.narratives]
    threshold = 1 / (1 + np.exp(-AT_THRESHOLD))
    assert {tag.label for tag in tags} == {True, False}
    assert all(tag.label == (tag.score >= threshold) for tag in tags if abs(tag.score - threshold) > 1e-3)


def test_an_example_longer_than_a_window_is_read_window_by_window() -> None:
    rest = "and so it went on and on for the whole of that long day in the town of {n}, said one who was there. "
    long = own((f"Of the bubble, {n}, {rest * 2}\nA day, {n}, {rest * 2}").replace("{n}", f"{n}") for n in range(20))
    assert len(windows(Text("", {"text": long.examples[0]}))) > 1
    assert labelled(tagger(long), NEW) > 0.8
    assert assessed(long).found.share > 0.8


# -- beside what the network knows ------------------------------------------------------------------------------------

MIXED = ["Fed [liquidity -1 expected]", "A [safe_haven 1] bubble", "gold coin bubble", "nothing", "", "bubble bath"]


def test_what_is_said_of_the_networks_narratives_and_of_assets_does_not_change() -> None:
    texts = [Text(str(n), {"title": title, "body": title * 9}) for n, title in enumerate(MIXED)]
    alone = MiniLMTagger({}, {}, PlantedEncoder())  # type: ignore[arg-type]
    phrases = own([], keywords=["bath"])
    both = MiniLMTagger({"own": BUBBLE, "bath": phrases}, {}, PlantedEncoder())  # type: ignore[arg-type]
    found = list(both.tag(texts))
    assert {tag.narrative for one in found for tag in one.narratives} == {"safe_haven", "liquidity", "own", "bath"}
    known = [
        replace(one, narratives=tuple(tag for tag in one.narratives if tag.narrative not in ("own", "bath")))
        for one in found
    ]
    assert known == list(alone.tag(texts))
    assert all(sorted(one.narratives, key=lambda tag: -tag.score) == list(one.narratives) for one in found)


def test_one_without_examples_is_told_by_its_phrases() -> None:
    by = MiniLMTagger({"bath": own([], keywords=["bubble bath"])}, {}, PlantedEncoder())  # type: ignore[arg-type]
    assert labelled(by, ["A bubble bath", "A bubble"]) == 0.5


def test_what_is_said_of_a_text_does_not_depend_on_what_is_read_with_it() -> None:
    by = tagger(BUBBLE)
    texts = [Text(str(n), {"title": text}) for n, text in enumerate(NEW[:30] + OTHER[:30])]
    together: dict[str, Tagged] = {one.id: one for one in by.tag(texts)}
    shuffled = random.Random(1).sample(texts, len(texts))
    assert {one.id: one for one in by.tag(shuffled)} == together
    assert all(next(by.tag([text])) == together[text.id] for text in texts)


# -- the figures ------------------------------------------------------------------------------------------------------


def test_the_figures_foretell_what_is_found_of_new_texts() -> None:
    vague = own(f"Perhaps bank {n}" for n in range(25))
    for narrative, new in ((BUBBLE, NEW), (vague, [f"The bank, {n}" for n in range(200)])):
        told = assessed(narrative)
        assert told.found.low <= labelled(tagger(narrative), new) <= told.found.high
        assert told.background.share <= 0.01
        assert (told.examples, told.few) == (len(narrative.examples), False)


def test_examples_that_have_nothing_in_common_do_not_vouch_for_each_other() -> None:
    noise = own(f"Thing number {n}" for n in range(20))
    told = assessed(noise)
    assert told.found.count <= 1
    assert told.ap < 0.1
    assert 0.3 < told.auc < 0.7


def test_a_planted_topic_is_told_apart_from_the_background() -> None:
    told = assessed(BUBBLE)
    assert told.ap > 0.9
    assert told.auc > 0.99


def test_repeated_and_empty_examples_are_dropped_and_counted() -> None:
    repeated = own([*BUBBLE.examples, "some  SAY bubble, as 1 did!", "", "  ", "?!", "\U0001f680"])
    told = assessed(repeated)
    assert (told.examples, told.repeated) == (20, 5)
    assert told.found == assessed(BUBBLE).found


def test_examples_that_say_nearly_the_same_do_not_vouch_for_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    same = embedded("bubble")
    monkeypatch.setattr(
        PlantedEncoder, "_read", lambda self, text: replace(FakeEncoder._read(self, text), embedding=same)
    )
    told = assessed(own(f"UPDATE {n} bubble" for n in range(12)))
    assert (told.found.count, told.found.n, told.few) == (0, 12, True)


def test_one_word_examples_have_defined_figures() -> None:
    told = assessed(own(["gold", "oil", "war", "fed", "ai", "tax", "debt", "x", "7", "bubble"], ["wine"]))
    assert told.found.n == 10
    assert 0 <= told.ap <= 1


@given(st.integers(0, 60), st.integers(1, 60))
def test_a_share_has_wilsons_interval(count: int, n: int) -> None:
    count = min(count, n)
    found, interval = share(count, n), binomtest(count, n).proportion_ci(0.9, method="wilson")
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high), abs=1e-4)


SPACE = Space(PlantedEncoder().background())
PLACES = SPACE.place(unit_length(np.stack([embedded(text) for text in NEW[:16]])))


@given(st.permutations(range(12)), st.integers(0, 4))
def test_the_order_of_examples_says_nothing(order: list[int], against: int) -> None:
    one, other = (fit(SPACE.background, PLACES[places], PLACES[12 : 12 + against]) for places in (range(12), order))
    assert one.likeness(PLACES) == pytest.approx(other.likeness(PLACES))


# -- what stands in narratives.toml -----------------------------------------------------------------------------------


def folder(path: Path, monkeypatch: pytest.MonkeyPatch, text: str = "") -> Path:
    """A STORYSHIFT_CONFIG_DIR whose narratives.toml, if there is text, holds the shipped ones and that."""
    monkeypatch.setenv("STORYSHIFT_CONFIG_DIR", str(path))
    monkeypatch.setenv("STORYSHIFT_TAGGER", "minilm")
    if text:
        shipped = (definitions.HERE / "narratives.toml").read_text(encoding="utf-8")
        (path / "narratives.toml").write_text(shipped + "\n" + text, encoding="utf-8")
    definitions.forget()
    return path


HEAD = '[narratives.x]\nname = "X"\ndefinition = "D"\npole = "context"\n'
TEN = [f"Text {n}" for n in range(10)]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (HEAD, r"narratives\.toml: narratives\.x: keywords: are missing"),
        (HEAD + "examples = []\n", r"narratives\.x: keywords: are missing"),
        (HEAD + f"examples = {json.dumps(TEN[:9])}\n", r"narratives\.x: examples: .*9 distinct texts; at least 10"),
        (HEAD + f"examples = {json.dumps(['same'] * 10)}\n", r"narratives\.x: examples: .*1 distinct"),
        (HEAD + f"examples = {json.dumps(['?' * n for n in range(12)])}\n", r"narratives\.x: examples: .*0 distinct"),
        (HEAD + f"examples = {json.dumps(TEN)}\ncounterexamples = [1]\n", r"narratives\.x: counterexamples\.0: "),
        (HEAD.replace(".x", ".X-1") + f"examples = {json.dumps(TEN)}\n", r"narratives\.X-1: a key is small letters"),
    ],
)
def test_a_mistake_in_an_entry_is_named_with_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, told: str
) -> None:
    folder(tmp_path, monkeypatch, text)
    with pytest.raises(ConfigError, match=told):
        definitions.narratives()


def test_the_taggers_name_tells_the_entries_by_which_it_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base = json.loads(definitions.WEIGHTS_CARD.read_text())["name"]
    names = []
    for text in (
        "",
        HEAD + f"examples = {json.dumps(TEN)}\n",
        HEAD + f"examples = {json.dumps([*TEN, 'One more'])}\n",
        HEAD.replace('"D"', '"Said better"') + f"examples = {json.dumps(TEN)}\n",
        HEAD + 'keywords = ["bath"]\n',
    ):
        folder(tmp_path, monkeypatch, text)
        names.append(definitions.live_tagger_name())
        read = {
            key: found for key, found in definitions.narratives().items() if key in ("liquidity", "safe_haven", "x")
        }
        assert MiniLMTagger(read, {}, PlantedEncoder()).name == names[-1].replace(base, "fake@1")  # type: ignore[arg-type]
    assert names[0] == base
    assert all(name.startswith(f"{base}+own.") for name in names[1:])
    assert len(set(names)) == 4
    assert names[1] == names[3]


def test_usual_rates_are_those_of_the_tagger_without_its_own_narratives() -> None:
    assert definitions.prior_rates("keywords@1+own.12ab34cd") == definitions.prior_rates("keywords@1")


# -- adding -----------------------------------------------------------------------------------------------------------

ODD = ['He said "never" \\ again', "tab\tand\x7f bell\x07", "emoji \U0001f680 and ‘quotes’", "]] # [x]", *TEN]


def test_an_added_narrative_is_read_again_as_it_was_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder(tmp_path, monkeypatch)
    before = definitions.narratives()
    place = definitions.add_narrative("ai_bubble", own(ODD, ["Near #1"], name="AI 'bubble'", pole="panic"))
    assert place == tmp_path / "narratives.toml"
    found = definitions.narratives()
    assert {key: found[key] for key in before} == before
    assert found["ai_bubble"].examples == [ODD[0], "tab and  bell ", *ODD[2:]]
    assert (found["ai_bubble"].name, found["ai_bubble"].pole) == ("AI 'bubble'", "panic")
    assert [file.name for file in tmp_path.iterdir()] == ["narratives.toml"]
    definitions.add_narrative("second", own(TEN))
    assert list(definitions.narratives())[-2:] == ["ai_bubble", "second"]


@pytest.mark.parametrize("key", ["safe_haven", "Ai", "1st", "a.b", "", "a b", "[x]"])
def test_a_key_that_is_taken_or_is_none_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    folder(tmp_path, monkeypatch)
    with pytest.raises(BadInput, match="already|cannot be a narrative's key"):
        definitions.add_narrative(key, own(TEN))
    assert list(tmp_path.iterdir()) == []


def test_a_narrative_that_the_network_knows_is_refused_also_where_the_file_lacks_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder(tmp_path, monkeypatch)
    (tmp_path / "narratives.toml").write_text(HEAD + 'keywords = ["x"]')
    definitions.forget()
    with pytest.raises(BadInput, match="There is a narrative safe_haven already"):
        definitions.add_narrative("safe_haven", own(TEN))
    definitions.add_narrative("mine", own(TEN))
    assert list(definitions.narratives()) == ["x", "mine"]


def test_a_file_that_cannot_take_an_entry_is_left_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder(tmp_path, monkeypatch)
    inline = 'narratives = { x = { name = "X", definition = "D", pole = "context", keywords = ["x"] } }\n'
    (tmp_path / "narratives.toml").write_text(inline)
    definitions.forget()
    with pytest.raises(ConfigError, match="add it by hand"):
        definitions.add_narrative("mine", own(TEN))
    assert (tmp_path / "narratives.toml").read_text() == inline


def test_without_a_folder_of_ones_own_the_shipped_file_takes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(definitions.HERE / "narratives.toml", tmp_path)
    monkeypatch.setattr(definitions, "HERE", tmp_path)
    definitions.forget()
    assert definitions.add_narrative("mine", own(TEN)) == tmp_path / "narratives.toml"
    assert "mine" in definitions.narratives()


@given(st.lists(st.text(min_size=1), min_size=3, max_size=3))
def test_whatever_an_example_holds_the_file_still_loads(texts: list[str]) -> None:
    written = [definitions._quoted(text) for text in texts]
    found = tomllib.loads(f"examples = [{', '.join(written)}]")["examples"]
    shown = ["".join(char if char.isprintable() else " " for char in text) for text in texts]
    assert found == shown
