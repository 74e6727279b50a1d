"""The daemon's one process: it takes in files, runs the stages, and tells what goes on."""
