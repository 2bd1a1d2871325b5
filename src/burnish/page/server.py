"""Serve the site on this machine alone."""

from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from burnish.errors import UsageError, reason
from burnish.page.site import headers

HOST = "127.0.0.1"


class _Handler(SimpleHTTPRequestHandler):
    """Answers with files of the site, their types and their headers."""

    protocol_version = "HTTP/1.1"
    extensions_map = {  # noqa: RUF012
        ".html": "text/html; charset=utf-8",
        ".css": "text/css; charset=utf-8",
        ".js": "text/javascript; charset=utf-8",
        ".mjs": "text/javascript; charset=utf-8",
        ".json": "application/json",
        ".wasm": "application/wasm",
        ".svg": "image/svg+xml",
        ".jpg": "image/jpeg",
        ".webmanifest": "application/manifest+json",
        "": "application/octet-stream",
    }

    def end_headers(self) -> None:
        """Add the headers of the site to an answer."""
        for name, value in headers(self.path.partition("?")[0]).items():
            self.send_header(name, value)
        super().end_headers()

    def list_directory(self, path: Any) -> None:
        """Answer with an error in place of a list of files."""
        self.send_error(404, "No such file")

    def log_message(self, format: str, *args: Any) -> None:
        """Print nothing."""


def create_server(folder: Path, port: int = 0) -> ThreadingHTTPServer:
    """Return a server of a site; `server_address` has its port.

    Parameters
    ----------
    port : 0 for any that is free

    Raises
    ------
    UsageError : the port is in use or reserved
    """
    try:
        return ThreadingHTTPServer((HOST, port), partial(_Handler, directory=str(folder)))
    except (OSError, OverflowError) as error:
        problem = (
            f"the port cannot be used: {reason(error) if isinstance(error, OSError) else error}"
        )
        raise UsageError(f"--port {port}", problem, "choose another one") from error
