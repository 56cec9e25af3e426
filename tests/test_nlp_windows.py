import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.tags import Text
from nlp.windows import MAX_CHARACTERS, WINDOW_WORDS, WORD, windows


def cut(**fields: str) -> list[str]:
    text = Text("1", fields)
    return [text.fields[w.field][w.start : w.end] for w in windows(text)]


def test_a_title_is_read_at_once_and_sentences_together_up_to_a_window() -> None:
    sentence = "Gold rose on Friday as traders sought safety."
    assert cut(title="Gold up. Silver too.", summary=f"{sentence} {sentence}") == [
        "Gold up. Silver too.",
        f"{sentence} {sentence}",
    ]
    many = cut(body=" ".join([sentence] * 30))
    assert len(many) == 6
    assert all(len(WORD.findall(part)) <= WINDOW_WORDS and part.endswith("safety.") for part in many)


def test_sentences_end_where_they_end() -> None:
    long = "word " * (WINDOW_WORDS - 3)
    assert cut(body=f'{long}at 1.5 percent. "No," he said. Next line\nA new paragraph') == [
        f"{long}at 1.5 percent.",
        '"No," he said. Next line\nA new paragraph',
    ]


@pytest.mark.parametrize("content", ["", " \n ", "?!", "\U0001f680" * 40, "…"])
def test_what_has_no_word_has_no_window(content: str) -> None:
    assert cut(title=content, summary=content, body=content) == []


@pytest.mark.parametrize("unit", ["a", ". ", "A. ", "!?", '"', "\n", " ", "word "])
def test_any_length_is_cut_in_linear_time_and_the_rest_is_not_read(unit: str) -> None:
    found = windows(Text("1", {"body": unit * (2 * MAX_CHARACTERS // len(unit))}))
    assert all(window.end <= MAX_CHARACTERS for window in found)


@given(st.text(max_size=400))
def test_windows_lie_in_order_within_the_text_and_hold_every_word(content: str) -> None:
    text = Text("1", {"body": content})
    found = windows(text)
    places = [place for window in found for place in (window.start, window.end)]
    assert places == sorted(places)
    assert places == [] or (places[0] >= 0 and places[-1] <= len(content))
    held = "".join("".join(WORD.findall(content, window.start, window.end)) for window in found)
    assert held == "".join(WORD.findall(content))
