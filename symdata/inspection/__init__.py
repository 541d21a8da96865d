"""What a dataset, or any source of images, really holds: counts, its law, traces of resampling, its asymmetry."""
