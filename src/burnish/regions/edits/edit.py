"""RegionEdit: a picture that shows where a region is, or where it is not."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any

import burnish.params
from burnish.errors import missing_library
from burnish.operators.operator import to_argument
from burnish.params import AnyParam, Value

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    # Pixels, (H, W, 3), and mask, (H, W), to the pixels that are shown.
    Shown = Callable[[NDArray[np.float32], NDArray[np.float32]], NDArray[np.float32]]


@dataclass(frozen=True)
class RegionEdit:
    """An edit that has to know its region.

    Parameters
    ----------
    name : as typed on the command line
    about : what it does, a sentence without its full stop
    function : address ``module:function`` of (pixels, mask, and the params' keywords) -> pixels, the
        picture that is shown; "" makes the rest transparent instead
    params : what a person may turn
    applies_outside : whether it shows outside the region rather than inside
    keeps_out_of_gamut : whether colours that sRGB cannot hold stay as they were: only where what is shown is
        the photo itself, in other tones
    edge_defaults : defaults other than those of `Edges`
    strips_metadata : whether the photo's metadata is left out
    selection_defaults : defaults other than those of `Selection`
    """

    name: str
    about: str
    function: str
    params: tuple[AnyParam, ...] = ()
    applies_outside: bool = False
    keeps_out_of_gamut: bool = False
    edge_defaults: Mapping[str, Any] = field(default_factory=dict)
    strips_metadata: bool = False
    selection_defaults: Mapping[str, Any] = field(default_factory=dict)

    def resolve_params(self, given: Mapping[str, Value]) -> dict[str, Value]:
        """Return a checked value for every parameter, by name; see `burnish.params.settle`."""
        return burnish.params.resolve_params(self.params, given, owner=self.name)

    def prepare(self, values: Mapping[str, Value]) -> "Shown":
        """Return the function of pixels and mask at these values; files are read now.

        Raises
        ------
        MissingLibraryError : a library that it needs is not installed
        PhotoError : a picture given as a parameter cannot be read
        """
        module, _, name = self.function.partition(":")
        try:
            function: Callable[..., Any] = getattr(import_module(module), name)
        except ModuleNotFoundError as error:
            raise missing_library(error, "retouch").with_context(f"regions {self.name}") from error
        keywords = {
            param.argument_name: to_argument(param, values[param.name]) for param in self.params
        }
        return lambda pixels, mask: function(pixels, mask, **keywords)
