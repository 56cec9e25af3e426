import gzip
import zlib

import brotli
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from ingest.decoding import TooLarge, decoded

LIMIT = 1_000_000


def deflated(body: bytes, bits: int) -> bytes:
    press = zlib.compressobj(9, zlib.DEFLATED, bits)
    return press.compress(body) + press.flush()


WAYS = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "bare deflate": lambda body: deflated(body, -15),
    "br": brotli.compress,
    "zstd": zstandard.ZstdCompressor().compress,
}


@pytest.mark.parametrize("way", WAYS)
@given(body=st.binary(max_size=5_000))
def test_a_body_comes_back_as_it_was(way: str, body: bytes) -> None:
    assert decoded(WAYS[way](body), way.split()[-1], limit=LIMIT) == body


@pytest.mark.parametrize("way", WAYS)
def test_a_bomb_ends_at_the_limit(way: str) -> None:
    bomb = WAYS[way](b"\0" * 60_000_000)
    assert len(bomb) < LIMIT
    with pytest.raises(TooLarge):
        decoded(bomb, way.split()[-1], limit=LIMIT)


def test_a_bomb_within_a_bomb_ends_too() -> None:
    inner = gzip.compress(b"\0" * 60_000_000)
    assert len(gzip.compress(inner)) < 5_000
    with pytest.raises(TooLarge):
        decoded(gzip.compress(inner), "gzip, gzip", limit=LIMIT)


@pytest.mark.parametrize("way", WAYS)
def test_what_breaks_off_or_is_something_else_is_said(way: str) -> None:
    encoding = way.split()[-1]
    with pytest.raises(ValueError, match="is not compressed as it says|breaks off inside its compression"):
        decoded(b"<rss>plain</rss>" * 20, encoding, limit=LIMIT)
    whole = WAYS[way](bytes(range(256)) * 50)
    if encoding != "zstd":  # its frames end where the bytes do
        with pytest.raises(ValueError, match="is not compressed as it says|breaks off inside its compression"):
            decoded(whole[: len(whole) // 2], encoding, limit=LIMIT)


@pytest.mark.parametrize("name", ["identity", "", " Identity "])
def test_what_is_not_encoded_stays(name: str) -> None:
    assert decoded(b"as it is", name, limit=LIMIT) == b"as it is"


def test_an_unknown_encoding_is_named() -> None:
    with pytest.raises(ValueError, match="is encoded as 'lzma', which was not asked for"):
        decoded(b"", "lzma", limit=LIMIT)
