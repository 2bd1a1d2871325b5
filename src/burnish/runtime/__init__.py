"""Running a model file on an image: session, device, exact tiles."""
