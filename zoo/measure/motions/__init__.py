"""Derivatives along motions of the image: rotation, translation, scale, shear."""
