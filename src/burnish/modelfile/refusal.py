"""How a graph outside the rules is turned away."""

from typing import NoReturn

from burnish.errors import ModelError


def reject(filename: str, expected: str, got: str, cause: Exception | None = None) -> NoReturn:
    """Raise the ModelError that a graph outside the rules meets."""
    remedy = "get the model anew from its maker, or export it with burnish"
    raise ModelError(filename, expected=expected, got=got, remedy=remedy) from cause
