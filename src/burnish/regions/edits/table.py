"""The edits that need a region, one literal each; commands, Python and docs derive from it."""

from burnish.params import ChoiceParam, ColourParam, FileParam, Param
from burnish.regions.edits.edit import RegionEdit

_FILLED = "is what the region is filled with"

EDITS = {
    edit.name: edit
    for edit in (
        RegionEdit(
            name="splash",
            about="Colour splash: objects keep their colours, all around them becomes grey",
            function="burnish.regions.edits.splash:greyed",
            applies_outside=True,
        ),
        RegionEdit(
            name="blur",
            about="Blur objects; colours around them do not enter",
            function="burnish.regions.edits.blur:blurred",
            params=(
                Param(
                    "size",
                    "blurs more: standard deviation of the Gaussian",
                    default=1,
                    low=0.05,
                    high=20,
                    scale="log",
                    unit="% of the longer side",
                ),
            ),
        ),
        RegionEdit(
            name="pixelate",
            about="Turn objects into blocks of one colour each",
            function="burnish.regions.edits.pixelate:pixelated",
            params=(
                Param(
                    "size",
                    "makes larger blocks: their side",
                    default=2,
                    low=0.1,
                    high=50,
                    scale="log",
                    unit="% of the longer side",
                ),
            ),
        ),
        RegionEdit(
            name="fill",
            about="Fill objects with one colour",
            function="burnish.regions.edits.fill:filled",
            params=(ColourParam("colour", _FILLED, default_text="black"),),
        ),
        RegionEdit(
            name="background",
            about="Keep objects, and blur all around them or put a colour or a picture there",
            function="burnish.regions.edits.background:background",
            params=(
                Param(
                    "size",
                    "blurs more: standard deviation of the Gaussian",
                    default=1.5,
                    low=0.05,
                    high=20,
                    scale="log",
                    unit="% of the longer side",
                ),
                ColourParam("colour", "stands in place of the blur", default_text="none"),
                FileParam(
                    "image", "stands in place of the blur", kind="photo", default_text="none"
                ),
            ),
            applies_outside=True,
        ),
        RegionEdit(
            name="cut-out",
            about="Keep objects, and make all around them transparent",
            function="",
            applies_outside=True,
        ),
        RegionEdit(
            name="remove",
            about="Take objects out, and paint what is around over the place",
            function="burnish.regions.edits.remove:removed",
            params=(
                ChoiceParam(
                    "method",
                    "is how: smooth carries colours inwards, texture copies pieces from around "
                    "and is slow",
                    choices=("smooth", "texture"),
                    default="smooth",
                ),
            ),
            # The rim of an object, its own blur and a little shadow, has to go too.
            edge_defaults={"grow": 4, "feather": 2},
        ),
        RegionEdit(
            name="adjust",
            about="Change the exposure and the saturation of objects",
            function="burnish.regions.edits.adjust:adjusted",
            params=(
                Param(
                    "exposure",
                    "makes brighter; 1 is twice the light",
                    default=0,
                    low=-6,
                    high=6,
                    unit="stops",
                ),
                Param(
                    "saturation",
                    "makes more colourful; 0 is grey",
                    default=1,
                    low=0,
                    high=4,
                ),
            ),
            keeps_out_of_gamut=True,
            edge_defaults={"feather": 2},
        ),
        RegionEdit(
            name="anonymise",
            about="Cover people so that they are not known again, rather too much than too little. "
            "The filling leaves nothing behind; light blur and blocks are weak protection, which "
            "can sometimes be undone. Metadata goes too. Look at every result: a detector misses "
            "some",
            function="burnish.regions.edits.anonymise:hidden",
            params=(
                ChoiceParam(
                    "method",
                    "is what covers them",
                    choices=("fill", "blur", "pixelate"),
                    default="fill",
                ),
                ColourParam("colour", _FILLED, default_text="black"),
                Param(
                    "size",
                    "blurs more, or makes larger blocks",
                    default=3,
                    low=0.5,
                    high=50,
                    scale="log",
                    unit="% of the longer side",
                ),
            ),
            edge_defaults={"refine": False, "threshold": 0.25, "margin": 8, "feather": 0},
            strips_metadata=True,
            selection_defaults={"classes": ("person",), "min_score": 0.1},
        ),
    )
}
