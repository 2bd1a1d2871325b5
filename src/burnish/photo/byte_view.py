"""Block: bytes to look things up in, in memory or in a file of which only parts are read."""

import os
from typing import BinaryIO, overload

# Bytes searched at a time.
_CHUNK_SIZE = 1 << 20


class FileBytes:
    """A file's bytes, read as they are asked for: slices, single ones, and where others stand.

    A mapped file would do it too, but would count as this program's memory, and end it where the
    file is cut short meanwhile.

    Parameters
    ----------
    file : open for reading; it is left at another place

    Examples
    --------
    >>> from io import BytesIO
    >>> block = FileBytes(BytesIO(b"II*and so on"))
    >>> len(block), block[0:3], block[-2:], block.find(b"so"), block.find(b"so", 0, 8)
    (12, b'II*', b'on', 7, -1)
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._size = file.seek(0, os.SEEK_END)

    def __len__(self) -> int:
        return self._size

    @overload
    def __getitem__(self, key: int) -> int: ...
    @overload
    def __getitem__(self, key: slice) -> bytes: ...
    def __getitem__(self, key: int | slice) -> int | bytes:
        if isinstance(key, int):
            return self[key : key + 1 or None][0]
        start, stop, _ = key.indices(self._size)
        self._file.seek(start)
        return self._file.read(max(0, stop - start))

    def find(self, pattern: bytes, start: int = 0, end: int | None = None) -> int:
        """Return where `pattern` first stands between two places, or -1; as `bytes.find`."""
        start, end, _ = slice(start, end).indices(self._size)
        while start + len(pattern) <= end:
            # Stretches overlap, so that nothing is missed where two meet.
            index = self[start : min(end, start + _CHUNK_SIZE + len(pattern) - 1)].find(pattern)
            if index >= 0:
                return start + index
            start += _CHUNK_SIZE
        return -1


Bytes = bytes | bytearray | FileBytes
