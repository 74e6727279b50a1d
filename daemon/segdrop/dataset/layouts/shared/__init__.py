"""Parts that several layouts use."""
