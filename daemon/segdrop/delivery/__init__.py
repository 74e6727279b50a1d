"""What people get: packed, delivered, archived."""
