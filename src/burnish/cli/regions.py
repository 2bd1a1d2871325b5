"""`burnish regions`: what is in photos, edits that show there or do not, and detectors."""

import typer

from burnish.cli import region_edits, region_list
from burnish.cli import region_training as regions_learning

regions = typer.Typer(
    no_args_is_help=True, help="Objects in photos: what there is, edits that keep to it, detectors."
)
region_list.register(regions)
region_edits.register(regions)
regions_learning.register(regions)
