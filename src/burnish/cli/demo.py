"""`burnish demo`: see that it works, on a photo that comes with it."""

from pathlib import Path
from typing import Annotated

import typer

from burnish.cli.options import Overwrite


def demo(
    output: Annotated[
        Path, typer.Option("-o", "--output", help="The folder to write into.", file_okay=False)
    ] = Path(),
    overwrite: Overwrite = False,
) -> None:
    """Smooth a sample photo and show it before | after."""
    from burnish.evaluation.demo import demonstrate

    for path in demonstrate(output, overwrite=overwrite):
        typer.echo(str(path))
