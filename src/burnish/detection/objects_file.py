"""A COCO file that takes the place of a detector."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from burnish.detection import coco
from burnish.detection.coco import AnnotatedImage
from burnish.detection.instances import Instances, mask_box
from burnish.errors import PhotoError
from burnish.types import Pixels


@dataclass(frozen=True)
class ObjectsFile:
    """The objects of photos, as a COCO file lists them.

    Parameters
    ----------
    path : for messages
    classes : the names of its categories
    images : a photo's file name -> its annotations
    """

    path: Path
    classes: tuple[str, ...]
    images: Mapping[str, AnnotatedImage] = field(repr=False)
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
        UsageError : the file cannot be read, is not valid, or names two photos alike
        """
        dataset = coco.read(path)
        counts = Counter(image.path.name for image in dataset.images)
        name, count = counts.most_common(1)[0]
        if count > 1:
            raise coco.invalid_file(dataset.source, f"{count} images are called {name}")
        images = {image.path.name: image for image in dataset.images}
        return cls(dataset.source, dataset.categories, images)

    def find(self, pixels: Pixels, source: Path | None = None) -> Instances:
        """Return the instances of the photo called `source`. Its folder does not matter.

        Raises
        ------
        PhotoError : the file does not list the photo, or lists it with another size
        UsageError : an annotation has malformed run lengths
        """
        name = source.name if source else "an image without a name"
        if name not in self.images:
            raise PhotoError(
                str(source or "image"),
                f"{self.path} lists {len(self.images)} photos, but not {name}",
                "choose a file that lists it, or use a detector",
            )
        image = self.images[name]
        coco.check_size(source or self.path, pixels.shape[1::-1], image, self.path)
        masks = coco.image_masks(self.path, image)
        objects = [
            (annotation, mask, mask_box(mask))
            for annotation, mask in zip(image.annotations, masks, strict=True)
            if mask.any()
        ]
        objects.sort(key=lambda entry: -entry[0].score)
        return Instances(
            image.size,
            np.array([box for _, _, box in objects], np.float32).reshape(-1, 4),
            tuple(annotation.label for annotation, _, _ in objects),
            np.array([annotation.score for annotation, _, _ in objects], np.float32),
            tuple(
                mask[top:bottom, left:right].astype(np.float32)
                for _, mask, (left, top, right, bottom) in objects
            ),
        )
