"""Layers that lower the resolution of feature maps."""
