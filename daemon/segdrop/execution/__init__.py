"""The child, seen from the parent: start, watch, end, read its exit. The one package that knows where it runs."""
