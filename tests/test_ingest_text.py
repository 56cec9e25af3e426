"""Markup to the text a person would read: nothing of the markup stays, nothing of the text is lost, nothing raises."""

from time import perf_counter

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ingest.text import one_line, plain_text

PIECES = (
    "<script> </script> <script <style> </style <!-- --> <![CDATA[ ]]> <![ <!DOCTYPE <? < > </ /> <p class='x' <br>"
)
MARKUP = st.lists(
    st.sampled_from([*PIECES.split(), "gold", " ", "\x00", "'", '"', "="]) | st.text(max_size=5), max_size=15
).map("".join)
WITHOUT_ENTITIES = MARKUP.filter(lambda text: "&" not in text)


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("Gold rises", "Gold rises"),
        ("", ""),
        ("   \n\t ", ""),
        ("<p>Gold <b>rises</b> again</p>", "Gold rises again"),
        ("one<br>two<br/>three", "one\ntwo\nthree"),
        ("<ul><li>one</li><li>two</li></ul>", "one\ntwo"),
        ("Gold\u00a0&nbsp;rises&#160;3&thinsp;%", "Gold rises 3 %"),
        ("caf&eacute; &amp; &#8364;5 &lt; &#x20AC;6", "café & €5 < €6"),
        ("a < b & c > d", "a < b & c > d"),
        ("R&D at AT&T", "R&D at AT&T"),
        ("Gold<!-- not this --> rises", "Gold rises"),
        ("Gold<img src='x' alt='not this'> rises", "Gold rises"),
        ("<a href='https://example.org/?a=1&b=2'>Gold</a> rises", "Gold rises"),
        ("<![CDATA[]]>Gold", "Gold"),
        ("one</p></div></b>two", "one\ntwo"),
        ("\x00Gold\x0brises\x7f", "Gold rises"),
    ],
)
def test_markup_reads_as_a_person_would_read_it(markup: str, text: str) -> None:
    assert plain_text(markup) == text


@pytest.mark.parametrize("tag", ["script", "style", "noscript", "template", "svg", "iframe", "object"])
def test_what_a_browser_does_not_show_is_not_text(tag: str) -> None:
    assert plain_text(f"<p>Gold</p><{tag} a='1'>not this</{tag}><p>rises</p>") == "Gold\nrises"


def test_an_end_without_a_beginning_hides_nothing() -> None:
    assert plain_text("</script></svg>Gold <svg/>rises") == "Gold rises"


def test_markup_that_was_escaped_is_text_and_not_markup() -> None:
    assert plain_text("<p>Use &lt;b&gt; for bold</p>") == "Use <b> for bold"


@pytest.mark.parametrize("beginning", ["<a href='https://exa", '<img src="x', "<p class=lead", "<!-- advert", "</div"])
def test_a_tag_that_the_end_of_the_text_cuts_off_is_dropped(beginning: str) -> None:
    assert plain_text(f"<p>Gold rises</p> {beginning}") == "Gold rises"


@pytest.mark.parametrize("odd", ["<![>", "<![foo[x", "<![ gold ]>", "<![if !IE]>"])
def test_markup_of_word_processors_is_no_reason_to_fail(odd: str) -> None:
    assert "rises" in plain_text(f"{odd}<p>Gold</p><p>rises</p>")


@settings(max_examples=100)
@given(MARKUP | st.text(st.characters(), max_size=60))
@example("<![>")
@example("&#xD800;&#0;&#1114112;")
def test_any_markup_becomes_text_that_can_be_stored(markup: str) -> None:
    text = plain_text(markup)
    assert text == text.strip()
    assert "\x00" not in text
    assert "  " not in text
    assert "\n\n" not in text
    text.encode()


@settings(max_examples=100)
@given(WITHOUT_ENTITIES)
@example("Gold rises <script")
def test_no_script_is_ever_left_in_the_text(markup: str) -> None:
    assert "<script" not in plain_text(markup).lower()


@settings(max_examples=50)
@given(st.lists(st.from_regex(r"[a-zA-Z0-9€é.,;:!?%$-]{1,8}", fullmatch=True), max_size=20))
def test_text_without_markup_stays_as_it_is(words: list[str]) -> None:
    assert plain_text(" ".join(words)) == " ".join(words)


@pytest.mark.parametrize("piece", ["<a ", "<a b='c' "])
def test_a_hostile_text_takes_no_longer_than_its_length(piece: str) -> None:
    began = perf_counter()
    plain_text(piece * (16_000 // len(piece)))
    assert perf_counter() - began < 0.5


def test_a_title_is_one_line() -> None:
    assert one_line("<h1>Gold\n rises</h1><p>again</p>") == "Gold rises again"


def test_a_title_that_was_escaped_twice_is_resolved() -> None:
    assert one_line("AT&amp;amp;T &amp;#8211; Gold &amp;quot;rises&amp;quot;") == 'AT&T – Gold "rises"'


@settings(max_examples=50)
@given(MARKUP | st.text(st.characters(), max_size=60))
@example("<![>")
def test_any_title_is_one_line(markup: str) -> None:
    assert len(one_line(markup).splitlines()) <= 1
