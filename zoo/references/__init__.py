"""From what a user writes to a model: by a name, a folder, a repository or a function; and the evaluation of it.

loading      trained models: a folder, a bundled name, a repository of the Hub
opening      models of any kind, also untrained ones and those of other libraries
adapters     models of transformers, timm and escnn
processors   what their image processors make of an image, as bytes and a normalisation
cost         parameters, multiply-adds and activations of a network, before it is trained
listing      the networks and models that there are
evaluating   `zoo.evaluate`, which takes all of these references
predicting   `zoo.predict`, which takes them too
turning      `zoo.orbit`, which turns one image
"""
