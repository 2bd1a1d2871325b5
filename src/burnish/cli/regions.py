"""`burnish regions`: where an edit shows: detectors, and what they find."""

import typer

from burnish.cli import regions_learning

regions = typer.Typer(
    no_args_is_help=True, help="Objects in photos: detectors, and edits that keep to them."
)
regions_learning.register(regions)
