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
            call="burnish.regions.edits.splash:greyed",
            outside=True,
        ),
        RegionEdit(
            name="blur",
            about="Blur objects; colours around them do not enter",
            call="burnish.regions.edits.blur:blurred",
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
            call="burnish.regions.edits.pixelate:pixelated",
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
            call="burnish.regions.edits.fill:filled",
            params=(ColourParam("colour", _FILLED, otherwise="black"),),
        ),
        RegionEdit(
            name="background",
            about="Keep objects, and blur all around them or put a colour or a picture there",
            call="burnish.regions.edits.background:background",
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
                ColourParam("colour", "stands in place of the blur", otherwise="none"),
                FileParam("image", "stands in place of the blur", kind="photo", otherwise="none"),
            ),
            outside=True,
        ),
        RegionEdit(
            name="cut-out",
            about="Keep objects, and make all around them transparent",
            call="",
            outside=True,
        ),
        RegionEdit(
            name="remove",
            about="Take objects out, and paint what is around over the place",
            call="burnish.regions.edits.remove:removed",
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
            edges={"grow": 4, "feather": 2},
        ),
        RegionEdit(
            name="adjust",
            about="Change the exposure and the saturation of objects",
            call="burnish.regions.edits.adjust:adjusted",
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
            keeps=True,
            edges={"feather": 2},
        ),
        RegionEdit(
            name="anonymise",
            about="Cover people so that they are not known again, rather too much than too little. "
            "The filling leaves nothing behind; light blur and blocks are weak protection, which "
            "can sometimes be undone. Metadata goes too. Look at every result: a detector misses "
            "some",
            call="burnish.regions.edits.anonymise:hidden",
            params=(
                ChoiceParam(
                    "method",
                    "is what covers them",
                    choices=("fill", "blur", "pixelate"),
                    default="fill",
                ),
                ColourParam("colour", _FILLED, otherwise="black"),
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
            edges={"refine": False, "threshold": 0.25, "margin": 8, "feather": 0},
            forgets=True,
            selection={"classes": ("person",), "min_score": 0.1},
        ),
    )
}
