"""The sides of the split, and the likeness of images, which must not be torn apart by it."""
