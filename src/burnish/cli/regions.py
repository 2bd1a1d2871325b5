"""`burnish regions`: what is in photos, and edits that show there, or do not."""

import typer

from burnish.cli.region_edits import command_of
from burnish.cli.region_list import list_regions
from burnish.regions.edits.table import EDITS

regions = typer.Typer(
    no_args_is_help=True,
    help=f"Objects in photos: list, {', '.join(EDITS)}.",
)
regions.command("list")(list_regions)
for edit in EDITS.values():
    regions.command(edit.name)(command_of(edit))
