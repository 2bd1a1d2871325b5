import io
import sys

import pytest

from burnish.cli.app import main


@pytest.fixture
def burnish_stream(monkeypatch, capfdbinary):
    """Run the command line with bytes on standard input; returns code, stdout and stderr."""

    def run(data, *arguments):
        monkeypatch.setattr(sys, "argv", ["burnish", *map(str, arguments)])
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
        code = 0
        try:
            main()
        except SystemExit as exit_:
            code = exit_.code
        output = capfdbinary.readouterr()
        return code, output.out, output.err.decode()

    return run
