"""Running a classifier on images, upright and moved."""
