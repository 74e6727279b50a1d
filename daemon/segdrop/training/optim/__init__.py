"""The optimizers, their recipes, and the learning rate."""
