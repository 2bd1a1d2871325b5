"""The image type `Photo`, and reading and writing it with colour profile, depth and metadata."""

from burnish.photo import vips_threads as vips_threads  # makes libvips usable after a fork
from burnish.photo.photo import Photo as Photo
