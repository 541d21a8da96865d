"""The model folder: what is in it, written whole or not at all, and read strictly."""
