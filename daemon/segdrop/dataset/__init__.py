"""Datasets: opened, interpreted and checked with Pillow and numpy, without torch, in a child under limits."""
