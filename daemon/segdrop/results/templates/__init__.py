"""Files that go into a result: as they are, or as templates of its texts."""
