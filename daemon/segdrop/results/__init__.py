"""Results as people get them: packed, delivered, archived, read back."""
