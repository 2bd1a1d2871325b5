"""The image type `Photo`, and reading and writing it with colour profile, depth and metadata."""

from burnish.photo.photo import Photo as Photo
