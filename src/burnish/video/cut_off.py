"""Recognise video files that are shorter than their headers say."""

from pathlib import Path

# The parts of a transport stream begin with this byte, in M2TS after 4 bytes of time: the position
# of the byte in a part, and the size of a part.
_TRANSPORT_SYNC, _TRANSPORT_PARTS = b"G", ((0, 188), (4, 192))
# Matroska's first header, the ID of its content, and bytes that hold both.
_EBML, _SEGMENT, _EBML_BYTES = b"\x1aE\xdf\xa3", b"\x18S\x80g", 80


def is_cut_off(path: Path) -> bool:
    """Return whether a file in MP4, MOV, AVI or Matroska is shorter than its headers say.

    The end of such a file may lie between two packets. A transport stream (MTS) has no such
    header, but consists of parts of equal size.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(_EBML_BYTES)
        if head.startswith(b"RIFF"):
            return 8 + int.from_bytes(head[4:8], "little") > size
        if head.startswith(_EBML):
            start = head.find(_SEGMENT) + len(_SEGMENT)
            # The number of leading zero bits is that of further bytes.
            length = 9 - head[start].bit_length()
            unknown = (1 << 7 * length) - 1
            content = int.from_bytes(head[start : start + length], "big") & unknown
            return content != unknown and start + length + content > size
        for start, part in _TRANSPORT_PARTS:
            file.seek(start + part)
            if head[start : start + 1] == _TRANSPORT_SYNC == file.read(1):
                return size % part > 0
        position = 0
        while position < size and head[4:8].isalnum():
            file.seek(position)
            head = file.read(16)
            box = int.from_bytes(head[:4], "big")
            box = int.from_bytes(head[8:16], "big") if box == 1 else box or size - position
            position += max(box, 8)
        return head[4:8].isalnum() and position > size
