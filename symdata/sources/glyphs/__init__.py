"""Letters and digits that are drawn on the spot, and whose own symmetry is known."""
