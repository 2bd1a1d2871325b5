"""`burnish compare`: before | slow | fast side by side, with error and times."""

import json
from pathlib import Path
from typing import Annotated

import typer

from burnish.cli.options import (
    Device,
    Engine,
    JsonOutput,
    Overwrite,
    Threads,
    with_operator_params,
)
from burnish.params import Value
from burnish.runtime.engines import DEFAULT_ENGINE


@with_operator_params
def compare(
    model: Annotated[str, typer.Argument(help="An operator's name, or a model file (.onnx).")],
    photo: Annotated[Path, typer.Argument(help="The photo to compare on.")],
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="The picture; PHOTO.OPERATOR.compare.png by default."),
    ] = None,
    operator: Annotated[
        str | None,
        typer.Option(help="The slow operator, where the model's card names none that burnish has."),
    ] = None,
    overwrite: Overwrite = False,
    device: Device = "auto",
    threads: Threads = None,
    engine: Engine = DEFAULT_ENGINE,
    json_output: JsonOutput = False,
    *,
    params: dict[str, Value],
) -> None:
    """Put photo, slow and fast result side by side, with error and times."""
    from burnish.evaluation.compare import compare_photo

    comparison, target = compare_photo(
        model,
        photo,
        output,
        reference=operator,
        overwrite=overwrite,
        device=device,
        threads=threads,
        engine=engine,
        params=params,
    )
    if json_output:
        typer.echo(json.dumps(comparison.record() | {"output": str(target)}))
        return
    typer.echo(f"slow  {comparison.slow_seconds:.2f} s")
    typer.echo(
        f"fast  {comparison.fast_seconds:.2f} s, {comparison.psnr:.2f} dB from the slow result "
        f"(the untouched photo {comparison.identity_psnr:.2f} dB)"
    )
    typer.echo(str(target))
