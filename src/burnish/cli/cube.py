"""`burnish cube`: an operator that maps colours, as a .cube file for other programs."""

from pathlib import Path
from typing import Annotated

import typer

from burnish.cli.options import Overwrite, complete_operator, with_operator_params
from burnish.params import Value


@with_operator_params
def cube(
    operator: Annotated[
        str,
        typer.Argument(
            help="An operator's name, or one of your own.", autocompletion=complete_operator
        ),
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="The file to write, FILE.cube.")],
    size: Annotated[int, typer.Option(help="Colours along each side of the table.")] = 33,
    overwrite: Overwrite = False,
    *,
    params: dict[str, Value],
) -> None:
    """Write an operator that is a pure map of colours as a .cube table; others are refused."""
    from burnish.cli.batch import collect_paths
    from burnish.editing.cube import write_cube
    from burnish.files import check_not_input

    check_not_input(output, collect_paths(params))
    table = write_cube(operator, output, params=params, size=size, overwrite=overwrite)
    typer.echo(
        f"{table.path}  {table.size} colours a side, at most {255 * table.error:.2f} of 255 from "
        "the operator between them"
    )
