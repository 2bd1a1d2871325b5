"""The names of all that follows the first image of a file: images, videos, and makers' data."""

import struct
from collections import Counter

from burnish.photo.container import Bytes
from burnish.photo.tiff_tags import BrokenTagsError, parse_header, read_entries

GAIN_MAP, VIDEO = "the HDR gain map", "the video of the motion photo"
_GAIN_MAP_MARKS = (b"hdr-gain-map/1.0", b"aux:hdrgainmap", b"HDRGainMap", b"iso:ts:21496")
_PADDING = b"\0\xff\r\n "
_CHUNK_BYTES = 1 << 20

_MP_ENTRIES, _MP_ENTRY_BYTES = 0xB002, 16
# Types of images in a multi-picture file (CIPA DC-007).
_MP_NAMES = {0x010001: "a preview", 0x010002: "a preview", 0x040000: GAIN_MAP}
_MP_NAMES |= {0x020002: "the second view of a stereo image"}

# Samsung's directory of trailing data ends with its size and a mark.
_SAMSUNG_MARK, _SAMSUNG_DIRECTORY = b"SEFT", b"SEFH"


def describe_trailing(
    data: Bytes, start: int, multi_picture: bytes | None = None, *, gain_map: bool = False
) -> list[str]:
    """Return the names of what follows the first image.

    Parameters
    ----------
    start : position behind the first image
    multi_picture : the index of a multi-picture file
    gain_map : whether the first image refers to a gain map
    """
    if _is_padding(data, start):
        return []
    names = []
    images = _multi_picture_types(multi_picture or b"")
    if gain_map or any(data.find(mark, start) >= 0 for mark in _GAIN_MAP_MARKS):
        names.append(GAIN_MAP)
        # Most cameras declare the gain map as an image of undefined type.
        images = images[1:] if GAIN_MAP not in map(_image_name, images) else images
    elif not images and data[start : start + 3] == b"\xff\xd8\xff":
        images = [0]
    for name, count in Counter(map(_image_name, images)).items():
        names.append(name if count == 1 else f"{count} {name.partition(' ')[2]}s")
    if data.find(b"ftyp", start) >= 0:
        names.append(VIDEO)
    if (blocks := _samsung_blocks(data)) is not None:
        names.append(f"Samsung's trailer ({', '.join(blocks)})" if blocks else "Samsung's trailer")
    return names or [f"{len(data) - start:,} bytes behind the image"]


def _is_padding(data: Bytes, start: int) -> bool:
    return all(
        not bytes(data[position : position + _CHUNK_BYTES]).strip(_PADDING)
        for position in range(start, len(data), _CHUNK_BYTES)
    )


def _image_name(image_type: int) -> str:
    return _MP_NAMES.get(image_type, "a further image")


def _multi_picture_types(index: bytes) -> list[int]:
    """Return the types of a multi-picture file's images behind the first one."""
    try:
        order = parse_header(index)[0].order
        entries = read_entries(index, unreadable=[])
    except BrokenTagsError:
        return []
    table = next((entry.value for entry in entries if entry.tag == _MP_ENTRIES), b"")
    count = len(table) // _MP_ENTRY_BYTES
    attributes = struct.unpack(f"{order}{'I12x' * count}", table[: count * _MP_ENTRY_BYTES])
    # The first entry is the file's first image.
    return [attribute & 0xFFFFFF for attribute in attributes[1:]]


def _samsung_blocks(data: Bytes) -> list[str] | None:
    """Return the names of the blocks in Samsung's trailer, or None if there is none."""
    if bytes(data[-4:]) != _SAMSUNG_MARK:
        return None
    size = int.from_bytes(data[-8:-4], "little")
    start = len(data) - 8 - size
    directory = bytes(data[start : start + size]) if start >= 0 else b""
    names = []
    if directory.startswith(_SAMSUNG_DIRECTORY):
        for position in range(12, len(directory) - 11, 12):
            # The block lies this far before the directory, and begins with its name.
            distance = int.from_bytes(directory[position + 4 : position + 8], "little")
            block = max(0, start - distance)
            head = bytes(data[block : block + 72])
            length = int.from_bytes(head[4:8], "little")
            names.append(head[8 : 8 + min(length, 64)].decode("ascii", "replace"))
    return [name for name in names if name.isprintable() and name]
