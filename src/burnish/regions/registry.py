"""The edits that need a region. Commands, Python API and docs are derived from this table."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any

import burnish.params
from burnish.errors import UsageError, missing_library
from burnish.operators.operator import to_argument
from burnish.params import AnyParam, ChoiceParam, ColourParam, FileParam, Param, Value

if TYPE_CHECKING:
    from burnish.types import Mask, Pixels


@dataclass(frozen=True)
class RegionEdit:
    """An edit that needs a region.

    Parameters
    ----------
    name : name on the command line and in Python
    about : description, a sentence without its full stop
    function : address ``module:function``. The function takes pixels, the mask of the region and
        the parameters as keywords, and returns an image that is blended with the photo. "" makes
        everything outside the region transparent instead
    params : the parameters
    applies_outside : the image is shown outside the region instead of inside
    keeps_out_of_gamut : colours outside sRGB stay outside, because the edit changes tones only
    strips_metadata : the photo's metadata is left out
    region_defaults : defaults for the options of a region of objects, by name
    keywords : other words for its use, by which users find it
    """

    name: str
    about: str
    function: str
    params: tuple[AnyParam, ...] = ()
    applies_outside: bool = False
    keeps_out_of_gamut: bool = False
    strips_metadata: bool = False
    region_defaults: Mapping[str, Any] = field(default_factory=dict)
    keywords: tuple[str, ...] = ()

    @property
    def has_strength(self) -> bool:
        """False if the photo must not show through: where it is covered or made transparent."""
        return bool(self.function) and not self.strips_metadata

    def resolve_params(self, params: Mapping[str, Value]) -> dict[str, Value]:
        """Return a checked value for every parameter; see `burnish.params.resolve_params`.

        Raises
        ------
        UsageError : a value is invalid, or none is given and the defaults change nothing
        """
        values = burnish.params.resolve_params(self.params, params, owner=self.name)
        is_given = any(value is not None for value in params.values())
        if not is_given and burnish.params.is_off(self.params, values):
            names = " or ".join(f"--{param.name}" for param in self.params)
            raise UsageError(self.name, "its defaults change nothing", f"add {names}")
        return values

    def prepare(self, values: Mapping[str, Value]) -> "Callable[[Pixels, Mask], Pixels]":
        """Return the function with its parameters set; files are read now.

        Raises
        ------
        MissingLibraryError : a library that it needs is not installed
        PhotoError : an image given as a parameter cannot be read
        """
        module, _, name = self.function.partition(":")
        try:
            function: Callable[..., Any] = getattr(import_module(module), name)
        except ModuleNotFoundError as error:
            raise missing_library(error, "retouch").with_context(f"regions {self.name}") from error
        keywords = {p.argument_name: to_argument(p, values[p.name]) for p in self.params}
        return lambda pixels, mask: function(pixels, mask, **keywords)


_BLUR = "blurs more: standard deviation of the Gaussian"


def _size(description: str, default: float, low: float, high: float) -> Param:
    """Return the parameter for the size of a blur or of blocks."""
    unit = "% of the longer side"
    return Param("size", description, default=default, low=low, high=high, scale="log", unit=unit)


_FILL_COLOUR = ColourParam("colour", "is the colour of the fill", default_text="black")

EDITS = {
    edit.name: edit
    for edit in (
        RegionEdit(
            name="splash",
            keywords=("colour-splash", "selective-colour"),
            about="Colour splash: keep objects in colour and turn everything else grey",
            function="burnish.regions.edits:greyscale",
            applies_outside=True,
        ),
        RegionEdit(
            name="blur",
            about="Blur objects; the colours around them do not bleed in",
            function="burnish.regions.retouch:blur",
            params=(_size(_BLUR, default=1, low=0.05, high=20),),
        ),
        RegionEdit(
            name="pixelate",
            keywords=("censor", "blocks"),
            about="Replace objects with blocks of their mean colour",
            function="burnish.regions.edits:pixelate",
            params=(_size("makes larger blocks: side of a block", default=2, low=0.1, high=50),),
        ),
        RegionEdit(
            name="fill",
            about="Fill objects with one colour",
            function="burnish.regions.edits:fill",
            params=(_FILL_COLOUR,),
        ),
        RegionEdit(
            name="background",
            keywords=("bokeh", "portrait", "depth-of-field"),
            about="Keep objects, and blur everything else, or replace it with a colour or an image",
            function="burnish.regions.retouch:background",
            params=(
                _size(_BLUR, default=1.5, low=0.05, high=20),
                ColourParam("colour", "replaces the background", default_text="blur"),
                FileParam("image", "replaces the background", kind="photo", default_text="blur"),
            ),
            applies_outside=True,
        ),
        RegionEdit(
            name="cut-out",
            keywords=("cutout", "remove-background", "transparent"),
            about="Keep objects, and make everything else transparent",
            function="",
            applies_outside=True,
        ),
        RegionEdit(
            name="remove",
            keywords=("inpaint", "erase", "heal", "delete"),
            about="Remove objects, and fill the gaps from the surroundings (inpainting)",
            function="burnish.regions.retouch:inpaint",
            params=(
                ChoiceParam(
                    "method",
                    "is the way to fill the gap: texture copies patches of the surroundings, "
                    "smooth extends colours inwards and is faster",
                    choices=("texture", "smooth"),
                    default="texture",
                ),
            ),
            # The blurred rim of an object and the shadow next to it have to go too.
            region_defaults={"grow": 4, "feather": 2},
        ),
        RegionEdit(
            name="adjust",
            keywords=("brightness", "exposure", "saturation", "dodge", "burn"),
            about="Change the exposure and the saturation of objects",
            function="burnish.regions.edits:adjust",
            params=(
                Param(
                    "exposure",
                    "is brighter; 1 doubles the light",
                    default=0,
                    low=-6,
                    high=6,
                    unit="stops",
                    off=0,
                ),
                Param(
                    "saturation",
                    "is more colourful; 0 gives grey",
                    default=1,
                    low=0,
                    high=4,
                    off=1,
                ),
            ),
            keeps_out_of_gamut=True,
            region_defaults={"feather": 2},
        ),
        RegionEdit(
            name="anonymise",
            keywords=("anonymize", "redact", "faces", "privacy"),
            about="Cover people, and remove metadata. A solid fill hides everything; blur and "
            "blocks are weak protection, which can sometimes be undone. The defaults err on the "
            "side of covering too much. Check every output, because detectors miss people",
            function="burnish.regions.edits:anonymise",
            params=(
                ChoiceParam(
                    "method",
                    "is the kind of cover",
                    choices=("fill", "blur", "pixelate"),
                    default="fill",
                ),
                _FILL_COLOUR,
                _size("blurs more, or makes larger blocks", default=3, low=0.5, high=50),
            ),
            strips_metadata=True,
            region_defaults={
                "only": ("person",),
                "min_score": 0.1,
                "refine": False,
                "threshold": 0.25,
                "margin": 8,
                "feather": 0,
            },
        ),
    )
}
