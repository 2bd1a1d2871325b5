"""Random access to bytes, in memory or in a file that is read in parts."""

import os
from typing import BinaryIO, overload

# Bytes searched at a time.
_CHUNK_SIZE = 1 << 20


class FileBytes:
    """The bytes of a file, read on demand by index, slice and search.

    A memory map would count as memory of the process, and the process would end with a bus error
    if another program cuts the file short.

    Parameters
    ----------
    file : open for reading; its position changes

    Examples
    --------
    >>> from io import BytesIO
    >>> data = FileBytes(BytesIO(b"II*and so on"))
    >>> len(data), data[0:3], data[-2:], data.find(b"so"), data.find(b"so", 0, 8)
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
        """Return the lowest index of `pattern` between start and end, or -1, like `bytes.find`."""
        start, end, _ = slice(start, end).indices(self._size)
        while start + len(pattern) <= end:
            # Chunks overlap, so that a match across their border is found.
            index = self[start : min(end, start + _CHUNK_SIZE + len(pattern) - 1)].find(pattern)
            if index >= 0:
                return start + index
            start += _CHUNK_SIZE
        return -1


Bytes = bytes | bytearray | FileBytes
