"""`burnish regions`: list the objects in photos, edit them, and train detectors."""

import typer

from burnish.cli import region_edits, region_list, region_training

app = typer.Typer(rich_markup_mode=None)
regions = typer.Typer(
    rich_markup_mode=None,
    no_args_is_help=True,
    help="List and edit the objects in photos, and train detectors.",
)
region_list.register(regions)
region_edits.register(regions)
region_training.register(regions)
app.add_typer(regions, name="regions")
