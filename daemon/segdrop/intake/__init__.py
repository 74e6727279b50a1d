"""A file appears, settles, is claimed."""
