"""exiftool, an independent reader and writer of metadata."""

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

# Groups that describe the file and the encoding, and not its metadata.
ENCODING = ("SourceFile", "ExifTool:", "File:", "System:", "Composite:")

Tags = dict[str, list[str]]


class ExifTool:
    """One process of exiftool, which reads a file in a few milliseconds."""

    def __init__(self, folder: Path) -> None:
        command = ["exiftool", "-stay_open", "True", "-@", "-"]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        self._folder = folder

    def run(self, *arguments: str) -> bytes:
        stdin, stdout = self._process.stdin, self._process.stdout
        stdin.write("\n".join([*arguments, "-execute", ""]).encode())
        stdin.flush()
        output = b""
        while not output.endswith(b"{ready}\n"):
            line = stdout.readline()
            assert line, "exiftool ended"
            output += line
        return output.removesuffix(b"{ready}\n")

    def edit(self, data: bytes, *arguments: str) -> bytes:
        """Return the content of a file with tags written by exiftool."""
        path = self._folder / "edit"
        path.write_bytes(data)
        message = self.run("-overwrite_original", "-unsafe", *arguments, str(path))
        assert b"1 image files updated" in message, message
        return path.read_bytes()

    def tags(self, data: bytes) -> Tags:
        """Return all values by group and name, those of binary data in Base64."""
        path = self._folder / "tags"
        path.write_bytes(data)
        # The copy number as a group keeps tags of the same name apart.
        output = self.run("-a", "-G1:4", "-s", "-j", "-b", "-u", str(path))
        values: Tags = {}
        for name, value in json.loads(output)[0].items():
            if not name.startswith(ENCODING):
                group, _, tag = name.rpartition(":")
                key = f"{group.split(':')[0]}:{tag}"
                values.setdefault(key, []).append(str(value))
        return values

    def close(self) -> None:
        self._process.stdin.write(b"-stay_open\nFalse\n")
        self._process.stdin.flush()
        self._process.communicate(timeout=10)


@pytest.fixture(scope="session")
def exiftool(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ExifTool]:
    if not shutil.which("exiftool"):
        pytest.skip("exiftool is not installed")
    process = ExifTool(tmp_path_factory.mktemp("exiftool"))
    yield process
    process.close()


@pytest.fixture(scope="session")
def difference(exiftool: ExifTool) -> Callable[[bytes, bytes], dict[str, tuple]]:
    """Return a function that returns the tags of two files that differ, with both values."""

    def compare(before: bytes, after: bytes) -> dict[str, tuple]:
        first, second = exiftool.tags(before), exiftool.tags(after)
        return {
            name: (first.get(name), second.get(name))
            for name in sorted(first.keys() | second.keys())
            if first.get(name) != second.get(name)
        }

    return compare
