"""Jobs on disk: the folders are the database."""
