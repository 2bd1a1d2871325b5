"""Sort the photos among the stamps of Debian's tuxpaint-stamps-default into cut-outs.

    python recipes/stamps.py /usr/share/tuxpaint/stamps CUT-OUTS

The output is links to the stamps in CUT-OUTS/train and CUT-OUTS/held-out; people are in a folder
`person`. Copies, mirror images and stamps of one folder with similar names are on the same side.
"""

import re
import sys
from pathlib import Path

# Drawings, letters, signs and flags: whole folders, and single stamps elsewhere.
FOLDERS = re.compile(
    r"cartoon|symbols/(alphabets|chess|faces|math|music|shapes|money/00_symbols)|town/flags"
    r"|seasonal/(easter|hanukkah|newyears)|clothes/hats"
)
DRAWN = """
animals/insects/bee animals/mammals/echidna animals/mammals/hedgehog clothes/button
clothes/t_baseballcap clothes/t_glove clothes/t_jacket clothes/t_pants clothes/t_poloshirt
clothes/t_scarf clothes/t_shirt clothes/t_sock clothes/t_tshirt food/pizza
household/arttools/highlighter household/dishes/glass medical/tooth people/body_parts/eye
seasonal/christmas/Santa seasonal/christmas/bow seasonal/christmas/candy_cane
seasonal/christmas/hard_candy seasonal/christmas/lamp seasonal/christmas/santahat
seasonal/christmas/star seasonal/christmas/stocking seasonal/christmas/tree
seasonal/christmas/xmas_tp_bulb seasonal/halloween/bat_left seasonal/halloween/blackcat
seasonal/halloween/ghost seasonal/halloween/jackolantern_mean seasonal/halloween/skull
seasonal/halloween/spider space/planets/0_sun sports/rugby_goal_posts symbols/clockface
symbols/recycle town/monuments/inukshuk-outline town/roadsigns/arrow town/roadsigns/crossroads
town/roadsigns/give_way_sign town/roadsigns/hospital town/roadsigns/roundabout town/roadsigns/stop
town/roadsigns/stoplight_01_red town/roadsigns/stoplight_02_yellow
town/roadsigns/stoplight_03_green town/roadsigns/t-junction town/roadsigns/toilets
town/roadsigns/xing_ped town/roadsigns/xing_school town/roadsigns/xing_school_mirror
town/roadsigns/yield vehicles/7spoke256 vehicles/emergency/sedan_police
vehicles/emergency/sedan_police_mirror
"""
# Their alpha is no outline.
VAGUE = "naturalforces/lightningbolt naturalforces/explosion space/voyager2"
PEOPLE = {"fireman240a", "fireman200b", "paratrooper", "spacewalk"}
# One family in so many is held out.
HOLD_OUT = 5


def main(source: Path, target: Path) -> None:
    """Link the stamps, and say how many lie on each side."""
    left_out = {*DRAWN.split(), *VAGUE.split()}
    families: dict[str, list[Path]] = {}
    for path in sorted(source.rglob("*.png")):
        name = path.relative_to(source).with_suffix("").as_posix()
        if not FOLDERS.search(path.parent.relative_to(source).as_posix()) and name not in left_out:
            families.setdefault(family(path.relative_to(source)), []).append(path)
    counts = {"train": 0, "held-out": 0}
    for index, (_, paths) in enumerate(sorted(families.items())):
        people = paths[0].stem in PEOPLE
        side = "held-out" if index % HOLD_OUT == 2 and not people else "train"
        for path in paths:
            folder = target / side / ("person" if path.stem in PEOPLE else "object")
            folder.mkdir(parents=True, exist_ok=True)
            link = folder / path.relative_to(source).as_posix().replace("/", "-")
            link.symlink_to(path.resolve())
            counts[side] += 1
    print(", ".join(f"{count} to {side}" for side, count in counts.items()), len(families))


def family(path: Path) -> str:
    """Return what near-twins have in common: the folder, and how the name begins."""
    if path.stem in PEOPLE:
        return "people"
    if "money" in path.parts:
        return "money"
    word = re.match(r"[0-9_]*([A-Za-z]{1,4})", path.stem)
    return f"{path.parent.as_posix()}/{word.group(1).lower() if word else path.stem}"


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
