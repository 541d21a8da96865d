"""Whether the installed packages work together, and what to do where they do not."""
