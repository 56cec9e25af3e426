"""Decompressing a body without letting it grow over a limit: a kilobyte can stand for a gigabyte."""

import io
import zlib

import brotli
import zstandard

STEP = 1024 * 1024


class TooLarge(Exception):
    """The body is larger than the limit, decompressed."""


def decoded(body: bytes, encodings: str, *, limit: int) -> bytes:
    """The body as it was before it was encoded, by the Content-Encoding header ("gzip", "br, gzip", "").

    Raises: TooLarge; ValueError if the body is not what the header says, or says something unknown.
    """
    for encoding in reversed([name.strip().lower() for name in encodings.split(",") if name.strip()]):
        if encoding in ("gzip", "x-gzip", "deflate"):
            body = _deflated(body, limit)
        elif encoding == "br":
            body = _brotli(body, limit)
        elif encoding == "zstd":
            body = _zstd(body, limit)
        elif encoding != "identity":
            raise ValueError(f"is encoded as {encoding[:40]!r}, which was not asked for")
    if len(body) > limit:
        raise TooLarge
    return body


def _deflated(body: bytes, limit: int) -> bytes:
    """gzip, zlib or bare deflate: servers mean any of the latter two by "deflate"."""
    for bits in (zlib.MAX_WBITS | 32, -zlib.MAX_WBITS):
        try:
            reader = zlib.decompressobj(bits)
            found = reader.decompress(body, limit + 1)
        except zlib.error:
            continue
        if len(found) > limit:
            raise TooLarge
        if not reader.eof:
            raise ValueError("breaks off inside its compression")
        return found
    raise ValueError("is not compressed as it says")


def _brotli(body: bytes, limit: int) -> bytes:
    reader, found = brotli.Decompressor(), bytearray()
    try:
        found += reader.process(body, output_buffer_limit=STEP)
        while not reader.is_finished():
            before = len(found)
            found += reader.process(b"", output_buffer_limit=STEP)
            if len(found) > limit:
                raise TooLarge
            if len(found) == before:
                raise ValueError("breaks off inside its compression")
    except brotli.error:
        raise ValueError("is not compressed as it says") from None
    return bytes(found)


def _zstd(body: bytes, limit: int) -> bytes:
    reader = zstandard.ZstdDecompressor(max_window_size=2**27).stream_reader(io.BytesIO(body), read_across_frames=True)
    found = bytearray()
    try:
        while part := reader.read(STEP):
            found += part
            if len(found) > limit:
                raise TooLarge
    except zstandard.ZstdError:
        raise ValueError("is not compressed as it says") from None
    return bytes(found)
