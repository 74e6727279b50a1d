"""torch: what training and inference share."""
