"""Letters and digits that are rendered when they are read, and whose own symmetry is known."""
