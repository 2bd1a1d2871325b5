"""The one image type, and reading and writing it: what is lost or kept is decided here."""

from burnish.photo.photo import Photo as Photo
