"""A contact sheet: one HTML file with small photos, their keywords and the suggestions.

HTML shows keywords in any script, and needs no font of its own. The file refers to no other file.
"""

import base64
from collections.abc import Sequence
from html import escape
from pathlib import Path

from burnish.files import atomic_write, make_folder
from burnish.keywords.suggest import PhotoSuggestions
from burnish.photo import Photo

# Longer side of a small photo, px.
THUMBNAIL_SIDE = 240
_QUALITY = 80
_PAGE = """\
<!DOCTYPE html>
<html><head><meta charset="utf-8"><title>Suggested keywords</title><style>
body {{ font: 14px sans-serif; margin: 16px; background: #fafafa; color: #222 }}
main {{ display: grid; grid-template-columns: repeat(auto-fill, minmax(240px, 1fr)); gap: 16px }}
figure {{ margin: 0; background: #fff; border: 1px solid #ddd; padding: 8px }}
img {{ display: block; max-width: 100%; margin: 0 auto 8px }}
.name {{ color: #666; overflow-wrap: anywhere }}
.has, .new {{ display: inline-block; margin: 2px; padding: 1px 6px; border-radius: 8px }}
.has {{ background: #e8e8e8 }} .new {{ background: #cfe8cf }}
.new.written {{ outline: 2px solid #393 }}
</style></head><body>
<p>Grey: keywords that the photo has. Green: suggestions, with the probability that they are right.
Framed: added to the file.</p>
<main>
{figures}
</main></body></html>
"""


def contact_sheet(photos: Sequence[PhotoSuggestions]) -> str:
    """Return the page."""
    return _PAGE.format(figures="\n".join(map(_figure, photos)))


def write_sheet(photos: Sequence[PhotoSuggestions], target: Path, *, overwrite: bool) -> None:
    """Write the page.

    Raises
    ------
    OutputError : the file exists and `overwrite` is not set, or it cannot be written
    """
    make_folder(target.parent)
    with atomic_write(target, overwrite=overwrite) as file:
        file.write(contact_sheet(photos).encode("utf-8", "replace"))


def _figure(photo: PhotoSuggestions) -> str:
    image = ""
    if photo.thumbnail is not None:
        jpeg = Photo(photo.thumbnail).encode("jpeg", quality=_QUALITY)
        image = f'<img alt="" src="data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}">'
    has = (f'<span class="has">{escape(keyword)}</span>' for keyword in photo.keywords)
    new = (
        f'<span class="new{" written" if one.keyword in photo.written else ""}">'
        f"{escape(one.keyword)} {one.confidence:.0%}</span>"
        for one in photo.suggestions
    )
    name = f'<div class="name">{escape(str(photo.path))}</div>'
    return f"<figure>{image}{name}<div>{''.join(has)}{''.join(new)}</div></figure>"
