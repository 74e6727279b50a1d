"""From any picture or annotation to one value for each pixel."""
