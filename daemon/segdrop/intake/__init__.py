"""A file appears in the inbox, settles, and is claimed."""
