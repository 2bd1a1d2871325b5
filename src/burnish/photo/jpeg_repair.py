"""Repair of JPEG files that break rules of ITU-T T.81 which do not affect the image.

Cameras and phones write such files: with a wrong spectral selection of a baseline scan, with
padding between segments, with an unknown JFIF version, or without an end-of-image marker. libjpeg
decodes them and warns, and it warns likewise if half of an image is missing. The repair removes the
causes that do not matter, so that a warning about the repaired file is about the image.
"""

import re
from collections.abc import Iterator

_START, _END = b"\xff\xd8", b"\xff\xd9"
_SOS, _SOI, _EOI = 0xDA, 0xD8, 0xD9
# Frame headers, with Huffman and with arithmetic coding.
_SEQUENTIAL_FRAMES, _PROGRESSIVE_FRAMES = (0xC0, 0xC1, 0xC9), (0xC2, 0xCA)
# Any marker; and one that ends the data of a scan, in which restart markers may occur.
_MARKER = re.compile(rb"\xff+([^\x00\xff])")
_SCAN_END = re.compile(rb"\xff+[^\x00\xff\xd0-\xd7]")
# Markers without a segment: TEM, and RST0 to RST7.
_STANDALONE = {0x01, *range(0xD0, 0xD8)}
_COEFFICIENTS = 64
_JFIF_VERSION = slice(9, 11)


def has_end(jpeg: bytes) -> bool:
    """Return whether the first image of a file has an end-of-image marker."""
    return any(marker == _EOI for marker, _ in _read_segments(jpeg))


def repair_jpeg(jpeg: bytes) -> bytes | None:
    """Return a JPEG without errors outside of its image data, or None if scans are missing.

    Trailing data behind the image is dropped, and so are zeros behind a scan without an end: a
    file that was not copied to its end may have been filled up with them.
    """
    output = [_START]
    # Component -> for each coefficient, the number of low bits that no scan has sent; -1 for all.
    missing_bits: dict[int, list[int]] = {}
    sequential = True
    for marker, segment in _read_segments(jpeg):
        if marker in (*_SEQUENTIAL_FRAMES, *_PROGRESSIVE_FRAMES):
            sequential = marker in _SEQUENTIAL_FRAMES
            missing_bits = {component: [-1] * _COEFFICIENTS for component in segment[10::3]}
        elif segment[4:9] == b"JFIF\0":
            segment[_JFIF_VERSION] = b"\x01\x02"
        elif marker == _SOS:
            selection = slice(5 + 2 * segment[4], 8 + 2 * segment[4])
            if sequential:
                segment[selection] = bytes([0, _COEFFICIENTS - 1, 0])
            first, last, approximation = segment[selection]
            for component in missing_bits.keys() & set(segment[5 : selection.start : 2]):
                bits = [approximation & 15] * (last + 1 - first)
                missing_bits[component][first : last + 1] = bits
        output.append(bytes(segment))
    if any(any(bits) for bits in missing_bits.values()):
        return None
    if output[-1] == _END:
        return b"".join(output)
    return b"".join(output).rstrip(b"\0") + _END


def _read_segments(jpeg: bytes) -> Iterator[tuple[int, bytearray]]:
    """Yield the marker and the bytes of each segment of the first image.

    The data of a scan belongs to its header's segment. A segment that is cut off is left out.
    """
    position = len(_START)
    while (match := _MARKER.search(jpeg, position)) and (marker := match[1][0]) != _SOI:
        start, position = match.end() - 2, match.end()
        if marker == _EOI:
            yield marker, bytearray(_END)
            return
        if marker in _STANDALONE:
            continue
        position += int.from_bytes(jpeg[position : position + 2], "big")
        if position > len(jpeg) or position < start + 4:
            return
        if marker == _SOS:
            end = _SCAN_END.search(jpeg, position)
            position = end.start() if end else len(jpeg)
        yield marker, bytearray(jpeg[start:position])
