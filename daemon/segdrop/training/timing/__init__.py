"""How long a run takes, and how its epochs are laid out in the time that there is."""
