"""From the values of masks to named classes."""
