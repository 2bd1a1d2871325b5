"""Names of results: a template, filled in for each photo."""

from pathlib import Path
from string import Formatter

from burnish.errors import UsageError

DEFAULT_NAME = "{stem}.{operator}{ext}"
FIELDS = ("stem", "operator", "ext")


def check_template(template: str) -> None:
    """See that a template can name files.

    Raises
    ------
    UsageError : it has a field of another name, a folder in it, or names nothing

    Examples
    --------
    >>> check_template("{stem}-{operator}{ext}")
    >>> check_template("{name}.png")
    Traceback (most recent call last):
    burnish.errors.UsageError: --name {name}.png: expected the fields {stem}, {operator}, {ext}, ...
    """
    fields = ", ".join(f"{{{field}}}" for field in FIELDS)
    try:
        parts = list(Formatter().parse(template))
    except ValueError as error:
        raise _template_error(template, f"the fields {fields}", str(error)) from error
    for _, field, form, conversion in parts:
        if field is not None and (field not in FIELDS or form or conversion):
            raise _template_error(template, f"the fields {fields}", f"{{{field}}}")
    if "/" in template or "\\" in template or "\0" in template:
        raise _template_error(template, "the name of a file", "a path")
    if not template.strip():
        raise _template_error(template, f"a name made of {fields}", "nothing")


def format_name(template: str, source: Path, operator: str, extension: str | None = None) -> str:
    """Return the name of a photo's result.

    Parameters
    ----------
    template : one that `check_template` lets pass
    extension : the result's, with its dot; None keeps the photo's

    Examples
    --------
    >>> format_name(DEFAULT_NAME, Path("trip/a.JPG"), "l0-smoothing")
    'a.l0-smoothing.JPG'
    >>> format_name("{stem}{ext}", Path("trip/a.JPG"), "l0-smoothing", ".png")
    'a.png'
    """
    suffix = source.suffix if extension is None else extension
    return template.format(stem=source.stem, operator=operator, ext=suffix)


def _template_error(template: str, expected: str, got: str) -> UsageError:
    return UsageError(
        f"--name {template}", expected=expected, got=got, remedy=f"such as '{DEFAULT_NAME}'"
    )
