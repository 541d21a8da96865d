""" "Using and Abusing Equivariance" (Edixhoven, Lengyel & van Gemert 2023), part by part."""
