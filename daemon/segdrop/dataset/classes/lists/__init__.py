"""Lists of classes as people and tools write them: lines, tables, JSON and YAML, and whether several of them agree."""
