"""The ZIP, opened safely: its directory, its members and the tree of their names."""
