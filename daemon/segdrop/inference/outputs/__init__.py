"""What predictions are written as: one module for each kind of output."""
