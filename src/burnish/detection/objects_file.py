"""The objects of photos, as a COCO file lists them, for edits without a detector."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import numpy as np

from burnish.detection.coco import AnnotatedImage, check_size, invalid_file, read
from burnish.detection.instances import Instances, mask_box
from burnish.errors import PhotoError, warn
from burnish.types import Pixels


@dataclass(frozen=True)
class ObjectsFile:
    """A COCO file as a source of objects, in place of a detector.

    Parameters
    ----------
    images : the annotations of photos, by the name of the photo without its folders
    """

    path: Path
    classes: tuple[str, ...]
    images: Mapping[str, Sequence[AnnotatedImage]] = field(repr=False)
    sha256: None = None

    @property
    def name(self) -> str:
        """The file's name."""
        return self.path.name

    @classmethod
    def open(cls, path: str | Path) -> "ObjectsFile":
        """Read a COCO file.

        Raises
        ------
        UsageError : the file cannot be read, is not valid, or gives two photos the same name

        Warns
        -----
        UserWarning : there are annotations of images that the file does not list
        """
        dataset = read(path)
        counts = Counter(_parts(image.path) for image in dataset.images)
        parts, count = counts.most_common(1)[0]
        if count > 1:
            raise invalid_file(dataset.source, f"{count} images are called {'/'.join(parts)}")
        if dataset.orphans:
            warn(
                f"{path}: {len(dataset.orphans)} of its objects are left out, because they belong "
                f"to images that it does not list, such as image_id {dataset.orphans[0]}"
            )
        images: dict[str, list[AnnotatedImage]] = {}
        for image in dataset.images:
            images.setdefault(_parts(image.path)[-1], []).append(image)
        return cls(dataset.source, dataset.categories, images)

    def find(self, pixels: Pixels, source: Path | None = None) -> Instances:
        """Return the instances of the photo `source`.

        Raises
        ------
        PhotoError : the file does not list the photo, lists it with another size, lists several of
            its name that its folders do not tell apart, or lists an object without any pixel

        Warns
        -----
        UserWarning : an object has no usable outline, so its box is used
        """
        image = self._image(source)
        name = str(source or self.path)
        check_size(source or self.path, pixels.shape[1::-1], image, self.path)
        objects, boxed = [], []
        for annotation in image.annotations:
            try:
                mask, is_box = annotation.cover()
            except ValueError as error:
                problem = f"{self.path} has a {annotation.label} that cannot be used: {error}"
                raise PhotoError(name, problem, "correct its bbox, or remove it") from error
            objects.append((annotation.score, annotation.label, mask, mask_box(mask)))
            if is_box:
                boxed.append(annotation.label)
        if boxed:
            count = "1 object has" if len(boxed) == 1 else f"{len(boxed)} objects have"
            labels = ", ".join(dict.fromkeys(boxed))
            verb = "its box is used" if len(boxed) == 1 else "their boxes are used"
            warn(f"{name}: {count} no usable outline in {self.path} ({labels}), so {verb}")
        objects.sort(key=lambda entry: -entry[0])
        return Instances(
            image.size,
            np.array([box for *_, box in objects], np.float32).reshape(-1, 4),
            tuple(label for _, label, *_ in objects),
            np.array([score for score, *_ in objects], np.float32),
            tuple(
                mask[top:bottom, left:right].astype(np.float32)
                for *_, mask, (left, top, right, bottom) in objects
            ),
        )

    def _image(self, source: Path | None) -> AnnotatedImage:
        """Return the entry of a photo: among those of its name, the one that shares most folders.

        An entry whose folders are all those of the photo comes before the others.
        """
        candidates = self.images.get(source.name, ()) if source else ()
        if source is None or not candidates:
            count = sum(map(len, self.images.values()))
            name = source.name if source else "an image without a name"
            problem = f"{self.path} lists {count} photos, but not {name}"
            remedy = "choose a file that lists it, or use a detector"
            raise PhotoError(str(source or "image"), problem, remedy)
        shared = [_shared_suffix(_parts(image.path), source) for image in candidates]
        best = max(shared)
        if shared.count(best) > 1:
            names = " and ".join("/".join(_parts(image.path)) for image in candidates[:2])
            problem = f"{self.path} lists {len(candidates)} photos of this name, such as {names}"
            remedy = "put the photo into the folder that its entry names"
            raise PhotoError(str(source), problem, remedy)
        return candidates[shared.index(best)]


def _parts(file_name: Path) -> tuple[str, ...]:
    r"""Return the folders and the name in a COCO file's file name, which Windows may have written.

    Examples
    --------
    >>> _parts(Path("job1/a.jpg")) == _parts(Path(r".\job1\a.jpg")) == ("job1", "a.jpg")
    True
    """
    return PurePosixPath(str(file_name).replace("\\", "/")).parts


def _shared_suffix(parts: tuple[str, ...], source: Path) -> tuple[bool, int]:
    """Return whether a photo's path ends with `parts`, and the number of last parts they share."""
    count = 0
    folders = source.absolute().parts
    for one, other in zip(reversed(parts), reversed(folders), strict=False):
        if one != other:
            break
        count += 1
    return count == len(parts), count
