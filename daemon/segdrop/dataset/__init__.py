"""Datasets: opened, understood, validated. Pillow and numpy; no torch. Runs in a limited child."""
