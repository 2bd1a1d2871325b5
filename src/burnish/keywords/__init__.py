"""Keywords: learnt from those that photos of a library have, and suggested for the others."""
