"""Other models by name: what is made of their labels (by a fake), and tiny real ones whose truth is planted."""

import json
import random
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from conftest import REQUIRED
from test_cli import Shell, shell  # noqa: F401 - a fixture

from config import definitions
from config.definitions import Asset, EntailmentModel, Narrative, NarrativeModel, SentimentModel
from jobs.tag import live_tagger
from models.errors import ConfigError
from models.tags import AssetScore, Tagged, Text
from nlp.huggingface import Classifier, HuggingFaceTagger, WithSentiment
from nlp.keywords import KeywordTagger

NAME = "hf:planted/news@1"
ASSETS = {"XAU": Asset(name="Gold", aliases=["gold"]), "BTC": Asset(name="Bitcoin", aliases=["bitcoin"])}
NARRATIVES = {
    "safe_haven": Narrative(name="Haven", definition="About fear", pole="panic", keywords=[]),
    "liquidity": Narrative(
        name="Liquidity", definition="About money", pole="devaluation", keywords=[], hypothesis="It tells of easing"
    ),
}


class FakeModel:
    """A label's logit is 3 where its word stands in what is read ("fear~" of a hypothesis), else -3."""

    def __init__(self, words: dict[str, str], *, several: bool = False) -> None:
        self.labels, self.several, self._words = list(words), several, list(words.values())

    def logits(self, text: str, hypothesis: str | None = None) -> np.ndarray:
        read = text if hypothesis is None else " ".join(f"{word}~{hypothesis.split()[-1]}" for word in text.split())
        return np.array([3.0 if word in read else -3.0 for word in self._words])


def tagger(labels: dict[str, object], words: dict[str, str], *, several: bool = False) -> HuggingFaceTagger:
    told = NarrativeModel.model_validate({"reads": "narratives", "labels": labels})
    return HuggingFaceTagger(NAME, told, NARRATIVES, ASSETS, FakeModel(words, several=several))  # type: ignore[arg-type]


def entailing(words: dict[str, str], **labels: str) -> HuggingFaceTagger:
    told = EntailmentModel.model_validate({"reads": "entailment", "labels": labels})
    return HuggingFaceTagger(NAME, told, NARRATIVES, ASSETS, FakeModel(words))  # type: ignore[arg-type]


def toned(inner: object, labels: dict[str, int], words: dict[str, str]) -> WithSentiment:
    told = SentimentModel.model_validate({"reads": "sentiment", "labels": labels})
    return WithSentiment(inner, "hf:planted/tone@2", told, FakeModel(words))  # type: ignore[arg-type]


def one(tagger: HuggingFaceTagger | WithSentiment, **fields: str) -> Tagged:
    (found,) = tagger.tag([Text("1", fields)])
    return found


WORDS = {"LABEL_0": "haven", "easing": "cuts", "tightening": "hikes", "other": "museum"}
LABELS = {
    "LABEL_0": "safe_haven",
    "easing": {"narrative": "liquidity", "direction": 1},
    "tightening": {"narrative": "liquidity", "direction": -1},
}


# -- labels that are narratives ---------------------------------------------------------------------------------------


def test_a_label_names_a_narrative_and_its_direction_and_the_window_is_the_evidence() -> None:
    found = one(tagger(LABELS, WORDS), title="Fed hikes again")
    (tag,) = (tag for tag in found.narratives if tag.label)
    assert (tag.narrative, tag.direction, tag.modality) == ("liquidity", -1, None)
    assert [(e.field, e.text) for e in tag.evidence] == [("title", "Fed hikes again")]
    (haven,) = (tag for tag in one(tagger(LABELS, WORDS), title="The haven").narratives if tag.label)
    assert (haven.narrative, haven.direction) == ("safe_haven", 0)


def test_labels_of_which_one_holds_share_their_probability_and_others_do_not() -> None:
    single = one(tagger(LABELS, WORDS), title="Fed cuts, then hikes").narratives[0]
    assert (single.narrative, single.score) == ("liquidity", pytest.approx(0.9975, abs=1e-4))
    both = one(tagger(LABELS, WORDS, several=True), title="Fed cuts and the haven").narratives
    assert [(tag.narrative, tag.score) for tag in both] == [("safe_haven", 0.9526), ("liquidity", 0.9526)]


def test_a_label_that_the_map_leaves_out_says_nothing() -> None:
    assert one(tagger(LABELS, WORDS), title="museum").narratives == ()


def test_a_long_text_is_not_tagged_for_a_passing_word_and_is_for_a_theme() -> None:
    plain = "Nothing of note was said about the museum at all by anybody in the room on that long day. " * 3
    told = "The word haven was said by somebody in that room on that long day, and then once again. " * 3
    passing = one(tagger(LABELS, WORDS), title="A museum", body="\n".join([plain] * 9 + [told]))
    assert not any(tag.label for tag in passing.narratives)
    theme = one(tagger(LABELS, WORDS), title="A museum", body="\n".join([plain, told] * 5))
    assert [tag.narrative for tag in theme.narratives if tag.label] == ["safe_haven"]
    assert all(span.field == "body" and "haven" in span.text for span in theme.narratives[0].evidence)
    assert len(theme.narratives[0].evidence) == 3


def test_the_threshold_is_the_models_own() -> None:
    told = NarrativeModel.model_validate({"reads": "narratives", "labels": {"a": "safe_haven"}, "threshold": 0.99})
    model = FakeModel({"a": "haven", "b": "museum"}, several=True)
    strict = HuggingFaceTagger(NAME, told, NARRATIVES, ASSETS, model)  # type: ignore[arg-type]
    (tag,) = one(strict, title="The haven").narratives
    assert (tag.score, tag.label, tag.evidence) == (0.9526, False, ())


def test_assets_are_those_of_the_phrases_without_a_tone() -> None:
    (mention,) = one(tagger(LABELS, WORDS), title="Gold in a museum").assets
    assert (mention.asset, mention.tone, [span.text for span in mention.spans]) == ("XAU", None, ["Gold"])
    assert one(tagger(LABELS, WORDS), title=" - ", body="") == Tagged("1", (), ())


# -- entailment -------------------------------------------------------------------------------------------------------

NLI = {"contradiction": "never~", "neutral": "?~", "ENTAILMENT": "haven~fear"}


def test_each_narratives_own_hypothesis_or_else_its_definition_is_asked() -> None:
    found = one(entailing(NLI), title="A haven").narratives
    assert [(tag.narrative, tag.label, tag.direction) for tag in found] == [
        ("safe_haven", True, 0),
        ("liquidity", True, 0),
    ]
    assert found[0].score == pytest.approx(1 / (1 + np.exp(-6)), abs=1e-4)
    assert found[1].score == 0.5


def test_of_two_labels_the_other_one_contradicts_and_numbered_ones_are_told() -> None:
    two = one(entailing({"entailment": "haven~fear", "not_entailment": "~easing"}), title="A haven").narratives
    assert [(tag.narrative, tag.label) for tag in two] == [("safe_haven", True)]
    words = {"LABEL_0": "~easing", "LABEL_1": "?~", "LABEL_2": "haven~fear"}
    told = entailing(words, LABEL_0="contradiction", LABEL_2="entailment")
    assert one(told, title="A haven").narratives == two
    with pytest.raises(ConfigError, match="which of LABEL_0, LABEL_1, LABEL_2 tells entailment"):
        entailing(words)


# -- sentiment --------------------------------------------------------------------------------------------------------

TONES, TONE_WORDS = {"up": 1, "down": -1, "flat": 0}, {"up": "soars", "down": "slumps", "flat": "sleeps"}


@pytest.fixture
def phrases() -> KeywordTagger:
    return KeywordTagger(NARRATIVES, ASSETS)


def test_each_asset_has_the_tone_of_the_windows_that_name_it(phrases: KeywordTagger) -> None:
    body = "Gold soars. " + "It was a very long day for all who stood in the room and waited. " * 4 + "Bitcoin slumps."
    found = one(toned(phrases, TONES, TONE_WORDS), title="News", body=body)
    assert {mention.asset: mention.tone for mention in found.assets} == {"XAU": 1.0, "BTC": -1.0}


def test_all_but_the_tone_is_the_taggers_and_the_name_tells_both(phrases: KeywordTagger) -> None:
    texts = [Text(str(n), {"title": f"Gold soars {n}"}) for n in range(600)]
    both = toned(phrases, TONES, TONE_WORDS)
    assert both.name == "keywords@1+hf:planted/tone@2"
    plain = list(phrases.tag(texts))
    found = list(both.tag(iter(texts)))
    assert [(tagged.id, tagged.narratives) for tagged in found] == [(tagged.id, tagged.narratives) for tagged in plain]
    assert {mention.tone for tagged in found for mention in tagged.assets} == {1.0}


class Meant:
    """Finds bitcoin in every text, without a word that names it."""

    name = "meant@1"

    def tag(self, texts: list[Text]) -> list[Tagged]:
        return [Tagged(text.id, (), (AssetScore("BTC", 1.0, 0.2, ()),)) for text in texts]


def test_an_asset_that_no_word_names_is_judged_by_the_whole_text() -> None:
    (mention,) = one(toned(Meant(), TONES, TONE_WORDS), title="The coin", summary="It slumps").assets
    assert mention.tone == -1.0
    (mention,) = one(toned(Meant(), TONES, TONE_WORDS), title="-").assets
    assert mention.tone is None


# -- names and maps ---------------------------------------------------------------------------------------------------


def own(folder: Path, monkeypatch: pytest.MonkeyPatch, models: str, **settings: str) -> None:
    narrative = '[narratives.safe_haven]\nname = "H"\ndefinition = "About fear"\npole = "panic"\nkeywords = ["haven"]\n'
    (folder / "narratives.toml").write_text(models + narrative)
    monkeypatch.setenv("STORYSHIFT_CONFIG_DIR", str(folder))
    for name, value in settings.items():
        monkeypatch.setenv(f"STORYSHIFT_{name}", value)
    definitions.forget()


@pytest.mark.parametrize(
    ("tagger", "sentiment", "name"),
    [
        ("keywords", "", "keywords@1"),
        ("hf:facebook/bart-large-mnli@d7645e1", "", "hf:facebook/bart-large-mnli@d7645e1"),
        ("keywords", "hf:ProsusAI/finbert@4556d13", "keywords@1+hf:ProsusAI/finbert@4556d13"),
        ("hf:/a/model@2", "hf:a/b@refs/pr/1", "hf:/a/model@2+hf:a/b@refs/pr/1"),
    ],
)
def test_the_live_taggers_name_is_known_without_a_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tagger: str, sentiment: str, name: str
) -> None:
    own(tmp_path, monkeypatch, "", TAGGER=tagger, SENTIMENT=sentiment)
    assert definitions.live_tagger_name() == name


@pytest.mark.parametrize("value", ["hf:a/b", "hf:a@1", "hf:a/b@", "a/b@1", "hf:a/b c@1", "hf:https://a/b@1", "MiniLM"])
@pytest.mark.parametrize("setting", ["TAGGER", "SENTIMENT"])
def test_a_name_that_is_none_is_a_setting_that_is_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, setting: str, value: str
) -> None:
    own(tmp_path, monkeypatch, "", **{setting: value})
    with pytest.raises(ConfigError, match=rf"STORYSHIFT_{setting}='{value}' cannot be used: .*hf:OWNER/NAME@REVISION"):
        definitions.get_settings()


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ("", r'no entry \[models."a/b"\]'),
        ("models = 3\n", "models must be entries"),
        ('[models."a/b"]\n', "models.a/b: reads: must be one of narratives, entailment, sentiment"),
        ('[models."a/b"]\nreads = "tea leaves"\n', "models.a/b: reads: must be one of"),
        ('[models."a/b"]\nreads = "narratives"\n', "models.a/b: labels: Field required"),
        ('[models."a/b"]\nreads = "narratives"\nlabels = {}\n', "models.a/b: labels: .*at least 1"),
        (
            '[models."a/b"]\nreads = "narratives"\nlabels = { x = "panic" }\n',
            r"labels\.x: there is no .*'panic'.*safe_",
        ),
        (
            '[models."a/b"]\nreads = "narratives"\nlabels = { x = { narrative = "safe_haven", direction = 2 } }\n',
            r"labels\.x\.direction: Input should be -1, 0 or 1",
        ),
        ('[models."a/b"]\nreads = "entailment"\nthreshold = 50\n', "models.a/b: threshold"),
        ('[models."a/b"]\nreads = "entailment"\nlabels = { x = "perhaps" }\n', r"labels\.x: .*'entailment'"),
        ('[models."a/b"]\nreads = "sentiment"\nlabels = { x = 1 }\n', "STORYSHIFT_TAGGER cannot name it"),
    ],
)
def test_a_mistake_in_a_map_is_named_with_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, entry: str, told: str
) -> None:
    own(tmp_path, monkeypatch, entry, TAGGER="hf:a/b@1")
    with pytest.raises(ConfigError, match=rf"{tmp_path}/narratives\.toml: .*{told}"):
        live_tagger()


def test_a_model_of_narratives_tells_no_tone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own(tmp_path, monkeypatch, '[models."a/b"]\nreads = "entailment"\n', SENTIMENT="hf:a/b@1")
    with pytest.raises(ConfigError, match=r"models\.a/b: reads: entailment tells no tone"):
        live_tagger()


def test_labels_that_the_model_does_not_have_or_that_are_left_out_are_named(phrases: KeywordTagger) -> None:
    with pytest.raises(ConfigError, match=r"models\.planted/news: labels: .*no label 'LABEL_9'; it has a, b"):
        tagger({"LABEL_9": "safe_haven"}, {"a": "haven", "b": ""})
    with pytest.raises(ConfigError, match=r"models\.planted/tone: labels: .*no label 'sideways'"):
        toned(phrases, TONES | {"sideways": 0}, TONE_WORDS)
    with pytest.raises(ConfigError, match=r"models\.planted/tone: labels: 'flat' is left out"):
        toned(phrases, {"up": 1, "down": -1}, TONE_WORDS)


def test_the_maps_that_are_shipped_can_be_read() -> None:
    assert definitions.tagger_model("hf:facebook/bart-large-mnli@1").reads == "entailment"
    assert definitions.sentiment_model("hf:ProsusAI/finbert@1").labels == {"positive": 1, "negative": -1, "neutral": 0}


def test_without_the_extra_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ConfigError, match=rf"{NAME} needs the extra `hf`: pip install 'storyshift\[hf\]'"):
        Classifier(NAME)


# -- models whose truth is planted, read by transformers --------------------------------------------------------------

WIDTH, POSITIONS = 16, 32
Plant = Callable[..., str]


@pytest.fixture
def plant(tmp_path: Path) -> Plant:
    """Saves a tiny BERT in which words ("haven", or two at once: "haven+fear") drive labels, and returns its name.

    Attention looks at all words alike; each known word has a direction of its own, and the pooler is 1 where it is met.
    A label gets 6 where a word of it stands; the last one 3 in any case (or, where several may hold, each -3).
    """
    if "torch" not in REQUIRED:
        pytest.importorskip("torch")
    import torch
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import BertConfig, BertForSequenceClassification, PreTrainedTokenizerFast

    def save(drives: dict[str, str], labels: list[str], *, several: bool = False) -> str:
        known = list(dict.fromkeys(word for words in drives for word in words.split("+")))
        vocabulary = {word: place for place, word in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", *known])}
        config = BertConfig(
            vocab_size=len(vocabulary),
            hidden_size=WIDTH,
            num_hidden_layers=1,
            num_attention_heads=1,
            intermediate_size=4,
            max_position_embeddings=POSITIONS,
            id2label=dict(enumerate(labels)),
            label2id={label: place for place, label in enumerate(labels)},
            problem_type="multi_label_classification" if several else None,
        )
        network = BertForSequenceClassification(config)
        with torch.no_grad():
            for name, weights in network.named_parameters():
                if "LayerNorm" not in name:
                    weights.zero_()
            for place, word in enumerate(known):
                network.bert.embeddings.word_embeddings.weight[vocabulary[word], place] = 1
            attention = network.bert.encoder.layer[0].attention
            attention.self.value.weight.copy_(torch.eye(WIDTH))
            attention.output.dense.weight.copy_(torch.eye(WIDTH))
            pooler, head = network.bert.pooler.dense, network.classifier
            for row, (words, label) in enumerate(drives.items()):
                for word in words.split("+"):
                    pooler.weight[row, known.index(word)] = 5
                pooler.bias[row] = -22 if "+" in words else -5
                head.weight[labels.index(label), row] = 3
                head.bias[labels.index(label)] += 3
            if several:
                head.bias -= 3
            else:
                head.bias[-1] += 3
        folder = tmp_path / f"model-{len(list(tmp_path.iterdir()))}"
        network.save_pretrained(folder)
        marks = {"unk_token": "[UNK]", "pad_token": "[PAD]"}
        tokenizer = Tokenizer(models.WordLevel(vocabulary, marks["unk_token"]))
        tokenizer.normalizer, tokenizer.pre_tokenizer = normalizers.Lowercase(), pre_tokenizers.Whitespace()
        tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
        PreTrainedTokenizerFast(tokenizer_object=tokenizer, **marks).save_pretrained(folder)
        return f"hf:{folder}@1"

    return save


DRIVES = {"haven": "LABEL_0", "cuts": "easing", "hikes": "tightening"}


def planted(name: str, **told: object) -> HuggingFaceTagger:
    kind = EntailmentModel if told["reads"] == "entailment" else NarrativeModel
    return HuggingFaceTagger(name, kind.model_validate(told), NARRATIVES, ASSETS)


def test_a_classifier_is_read_through_transformers(plant: Plant) -> None:
    found = planted(plant(DRIVES, list(WORDS)), reads="narratives", labels=LABELS)
    (tag,) = one(found, title="Gold gains as the Fed hikes").narratives[:1]
    assert (tag.narrative, tag.label, tag.direction) == ("liquidity", True, -1)
    assert tag.score == pytest.approx((np.exp(6) + 1) / (np.exp(6) + 2 + np.exp(3)), abs=1e-3)
    assert not any(tag.label for tag in one(found, title="A museum opens").narratives)


def test_of_a_head_of_several_labels_each_holds_by_itself(plant: Plant) -> None:
    found = planted(plant(DRIVES, list(WORDS), several=True), reads="narratives", labels=LABELS)
    both = one(found, title="The haven gains as the Fed cuts").narratives
    assert {tag.narrative: tag.direction for tag in both if tag.label} == {"safe_haven": 0, "liquidity": 1}
    assert [tag.score for tag in both] == pytest.approx([0.9526, 0.9526], abs=1e-3)


def test_a_model_of_entailment_is_asked_each_hypothesis(plant: Plant) -> None:
    drives = {"haven+fear": "entailment", "cuts+easing": "entailment"}
    found = planted(plant(drives, ["entailment", "neutral", "contradiction"]), reads="entailment")
    assert [tag.narrative for tag in one(found, title="A haven for all").narratives if tag.label] == ["safe_haven"]
    assert [tag.narrative for tag in one(found, title="The bank cuts").narratives if tag.label] == ["liquidity"]


def test_tones_come_from_a_model_of_sentiment(plant: Plant, phrases: KeywordTagger) -> None:
    name = plant({"soars": "up", "slumps": "down"}, ["up", "down", "flat"])
    both = WithSentiment(phrases, name, SentimentModel(reads="sentiment", labels=TONES))
    found = one(both, title="Gold soars", summary="Bitcoin slumps")
    assert {mention.asset: mention.tone for mention in found.assets} == {"XAU": 1.0, "BTC": -1.0}
    assert [mention.tone for mention in one(both, title="Gold sleeps").assets] == [0.0]


@pytest.mark.parametrize("tagger", ["keywords", "minilm", "hf"])
def test_the_live_tagger_bears_the_name_that_is_shown_and_tells_the_models_tones(
    plant: Plant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tagger: str
) -> None:
    news, tone = plant(DRIVES, list(WORDS)), plant({"climbs": "down"}, ["down", "flat"])
    keys = [definitions.model_and_revision(name)[0] for name in (news, tone)]
    models = f'[models."{keys[0]}"]\nreads = "narratives"\nlabels = {{ LABEL_0 = "safe_haven" }}\n'
    models += f'[models."{keys[1]}"]\nreads = "sentiment"\nlabels = {{ down = -1, flat = 0 }}\n'
    own(tmp_path, monkeypatch, models, TAGGER=news if tagger == "hf" else tagger, SENTIMENT=tone)
    found = live_tagger()
    assert found.name == definitions.live_tagger_name()
    assert found.name.endswith(f"+{tone}")
    (tagged,) = found.tag([Text("1", {"title": "Gold climbs as investors flee to a haven"})])
    assert [(mention.asset, mention.tone) for mention in tagged.assets] == [("XAU", -1.0)]
    assert "safe_haven" in {tag.narrative for tag in tagged.narratives if tag.label}


def test_what_is_said_of_a_text_does_not_depend_on_what_is_read_with_it(plant: Plant) -> None:
    found = planted(plant(DRIVES, list(WORDS)), reads="narratives", labels=LABELS)
    texts = [
        Text(str(n), {"title": " ".join(random.Random(n).choices([*DRIVES, "x", "gold"], k=9))}) for n in range(60)
    ]
    together = {tagged.id: tagged for tagged in found.tag(texts)}
    assert {tagged.id: tagged for tagged in found.tag(reversed(texts))} == together
    assert all(one(found, **text.fields).narratives == together[text.id].narratives for text in texts[:20])


def test_of_an_endless_sentence_the_model_reads_as_much_as_it_can(plant: Plant) -> None:
    found = planted(plant(DRIVES, list(WORDS)), reads="narratives", labels=LABELS)
    assert one(found, body="haven " + "word " * 20_000).narratives[0].label
    assert not any(tag.label for tag in one(found, body="word " * POSITIONS + "haven").narratives)


@pytest.mark.parametrize(
    "content", ["", "\U0001f680", "\ufffd" * 9, "?" * 5_000, "x" * 200_000, "&nbsp;", "Gold steigt"]
)
def test_any_text_has_a_defined_answer(plant: Plant, content: str) -> None:
    found = planted(plant(DRIVES, list(WORDS)), reads="narratives", labels=LABELS)
    assert all(0 <= tag.score <= 1 for tag in one(found, title=content, body=content).narratives)


def test_a_model_with_another_head_or_none_at_all_is_refused(plant: Plant) -> None:
    name = plant(DRIVES, list(WORDS))
    config = Path(definitions.model_and_revision(name)[0], "config.json")
    config.write_text(config.read_text().replace("BertForSequenceClassification", "BertForMaskedLM"))
    with pytest.raises(ConfigError, match="is no classifier of texts: its head is BertForMaskedLM"):
        Classifier(name)
    with pytest.raises(ConfigError, match="/nowhere is no folder with a model"):
        Classifier("hf:/nowhere@1")


COMMIT = "0123456789" * 4


@pytest.fixture
def cached(plant: Plant, shell: Shell, tmp_path: Path) -> Shell:  # noqa: F811
    """The command line, with planted/news in the cache of Hugging Face at one revision, and no hub that answers."""
    snapshot = tmp_path / "cache" / "models--planted--news" / "snapshots" / COMMIT
    shutil.copytree(definitions.model_and_revision(plant(DRIVES, list(WORDS)))[0], snapshot)
    shipped = (Path(definitions.__file__).parent / "narratives.toml").read_text()
    labels = 'LABEL_0 = "safe_haven", easing = { narrative = "liquidity", direction = 1 }'
    entry = f'\n[models."planted/news"]\nreads = "narratives"\nlabels = {{ {labels} }}\n'
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "narratives.toml").write_text(shipped + entry)
    shell.environment |= {"HF_HUB_CACHE": str(tmp_path / "cache"), "HF_ENDPOINT": "http://127.0.0.1:9"}
    shell.environment |= {"STORYSHIFT_CONFIG_DIR": "config", "STORYSHIFT_TAGGER": f"hf:planted/news@{COMMIT}"}
    return shell


@pytest.mark.slow
def test_tag_and_evaluate_go_by_the_model_of_the_setting(cached: Shell) -> None:
    name = f"hf:planted/news@{COMMIT}"
    out, err = cached.process("tag", "--input", "-", given=json.dumps({"id": "7", "title": "Fed cuts as gold gains"}))
    row = json.loads(out)
    assert (row["tagger"], err) == (name, "")
    assert {key: tag["direction"] for key, tag in row["narratives"].items() if tag["label"]} == {"liquidity": 1}
    assert [(mention["asset"], mention["tone"]) for mention in row["assets"]] == [("XAU", None)]
    unit = {"id": "1", "text": "A haven", "narratives": {"safe_haven": {"direction": 1}}, "assets": {}}
    (cached.folder / "labels.jsonl").write_text(json.dumps(unit))
    figures = json.loads(cached.process("evaluate", "labels.jsonl", "--format", "json")[0])
    assert [(one["tagger"], one["macro_f1_core"]) for one in figures] == [(name, 1.0), ("keywords@1", 1.0)]


@pytest.mark.slow
def test_what_the_cache_does_not_have_and_no_hub_gives_is_one_sentence(cached: Shell) -> None:
    name = f"hf:planted/news@{'9' * 40}"
    cached.environment |= {"STORYSHIFT_TAGGER": name, "HF_HUB_OFFLINE": "1"}
    _, err = cached.process("tag", "--input", "-", code=2)
    assert f"{name} cannot be loaded: " in err
    assert len(err.splitlines()) == 1
    assert f"hf download planted/news --revision {'9' * 40}" in err
