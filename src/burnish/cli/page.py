"""`burnish page`: a page that edits photos in the browser."""

import webbrowser
from pathlib import Path
from typing import Annotated

import typer
from typer import Option

from burnish.cli.options import BurnishCommand
from burnish.errors import OutputError, UsageError
from burnish.files import exists

app = typer.Typer(rich_markup_mode=None)


@app.command(cls=BurnishCommand)
def page(
    port: Annotated[int, Option(min=0, max=65535, help="Port; 0 takes any free one.")] = 0,
    browser: Annotated[
        bool, Option("--browser/--no-browser", help="Open the page in the browser. [default: yes]")
    ] = True,
    export: Annotated[
        Path | None,
        Option(
            metavar="FOLDER", help="Write the page as a static site into a new folder, and end."
        ),
    ] = None,
) -> None:
    """Edit photos in the browser, on this machine or as a static site.

    The page runs the networks itself: no photo leaves the browser. It is served on this machine
    alone, until Ctrl-C. Its two libraries are loaded once, by npm.
    """
    from burnish.page.site import cached_site, site_folder, write_site

    if export is not None:
        if port or not browser:
            problem = "a site is written and not served"
            raise UsageError("--export", problem, "leave out --port and --no-browser")
        if exists(export) and (not export.is_dir() or any(export.iterdir())):
            raise OutputError(str(export), "it exists already", "name a new folder")
        files = write_site(export, compress=True)
        size = sum((export / file).stat().st_size for file in files) / 2**20
        typer.echo(f"{export}: {len(files)} files, {size:.1f} MiB")
        return
    if not site_folder().is_dir():
        typer.echo("preparing the page, which takes a while once", err=True)
    _serve(cached_site(), port, browser=browser)


def _serve(folder: Path, port: int, *, browser: bool) -> None:
    """Serve a site until Ctrl-C."""
    from burnish.page.server import HOST, create_server

    with create_server(folder, port) as server:
        address = f"http://{HOST}:{server.server_address[1]}/"
        typer.echo(f"{address} (Ctrl-C ends)")
        if browser:
            webbrowser.open(address)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            typer.echo()
