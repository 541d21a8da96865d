"""The model side of symdata: group-equivariant networks that are exact, approximate or plain, and what they learned.

Nothing lives here yet. This package will hold the layers, the architectures and their registry, the arithmetic of
exactness, the measurements of equivariance, training, evaluation, and models on the Hub. It imports the public names
of `symdata`; `symdata` never imports it.
"""
