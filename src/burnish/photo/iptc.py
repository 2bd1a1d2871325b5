"""Texts in the records of IPTC-IIM 4.2, and new keywords among them.

A record's dataset has a number, and several of the same number are a list. The character set is
declared in the envelope; without a declaration, programs take it as Latin-1 or as UTF-8.
"""

from collections.abc import Iterator, Sequence

_MARK = 0x1C
_ENVELOPE, _APPLICATION = 1, 2
# Datasets of the application record.
TITLE, KEYWORDS, HEADLINE, CAPTION = 5, 25, 105, 120
_CHARACTER_SET = 90
_UTF8 = b"\x1b%G"
# Longest keyword, in bytes.
MAX_KEYWORD_BYTES = 64


def read_texts(records: bytes, number: int) -> list[str]:
    """Return the texts of one dataset of the application record.

    Examples
    --------
    >>> read_texts(add_keywords(b"", ["beach", "été"])[0], KEYWORDS)
    ['beach', 'été']
    """
    encoding = _encoding(records)
    return [
        content.decode(encoding, "replace")
        for record, dataset, content, _ in _datasets(records)
        if (record, dataset) == (_APPLICATION, number)
    ]


def add_keywords(records: bytes, keywords: Sequence[str]) -> tuple[bytes, list[str]]:
    """Return records with further keywords at their end, and the keywords that do not fit.

    A keyword does not fit if it is too long, or if the texts there are have a character set
    without its letters.
    """
    encoding = _encoding(records)
    if encoding == "ascii":
        encoding = "ascii" if all(map(str.isascii, keywords)) else "utf-8"
    added, refused = b"", []
    for keyword in keywords:
        try:
            content = keyword.encode(encoding)
        except UnicodeEncodeError:
            content = b""
        if 0 < len(content) <= MAX_KEYWORD_BYTES:
            added += _pack(_APPLICATION, KEYWORDS, content)
        else:
            refused.append(keyword)
    if not added:
        return records, refused
    end = max((part.stop for *_, part in _datasets(records)), default=0)
    # Padding or damage behind the last dataset stays there.
    head, tail = records[:end], records[end:]
    is_declared = any(key[:2] == (_ENVELOPE, _CHARACTER_SET) for key in _datasets(records))
    if encoding == "utf-8" and not is_declared:
        head = _pack(_ENVELOPE, _CHARACTER_SET, _UTF8) + head
    if not any(record == _APPLICATION for record, *_ in _datasets(head)):
        head += _pack(_APPLICATION, 0, b"\0\4")
    return head + added + tail, refused


def _encoding(records: bytes) -> str:
    """Return the encoding of the texts; "ascii" if any encoding will do for them."""
    texts = b""
    for record, dataset, content, _ in _datasets(records):
        if (record, dataset) == (_ENVELOPE, _CHARACTER_SET):
            return "utf-8" if content == _UTF8 else "latin-1"
        texts += content if record == _APPLICATION and dataset else b""
    if texts.isascii():
        return "ascii"
    try:
        texts.decode()
    except UnicodeDecodeError:
        return "latin-1"
    return "utf-8"


def _pack(record: int, dataset: int, content: bytes) -> bytes:
    return bytes([_MARK, record, dataset]) + len(content).to_bytes(2, "big") + content


def _datasets(records: bytes) -> Iterator[tuple[int, int, bytes, slice]]:
    """Yield record, number, content and position of each dataset, up to the first damaged one."""
    start = 0
    while start + 5 <= len(records) and records[start] == _MARK:
        size, position = int.from_bytes(records[start + 3 : start + 5], "big"), start + 5
        if size & 0x8000:  # the size has a size of its own
            length = size & 0x7FFF
            size = int.from_bytes(records[position : position + length], "big")
            position += length
        end = position + size
        if end > len(records):
            return
        yield records[start + 1], records[start + 2], records[position:end], slice(start, end)
        start = end
