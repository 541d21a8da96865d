"""From what a user writes to a model: a name, a folder, a repository, a function."""
