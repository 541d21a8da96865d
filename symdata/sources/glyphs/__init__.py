"""Letters and digits that are rendered when they are read, and whose own symmetry is known."""

from symdata.sources.glyphs.source import open_ref as open_ref
