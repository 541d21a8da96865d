"""From what a user writes to a model: by a name, a folder, a repository or a function; and the evaluation of it.

loading      trained models: a folder, a bundled name, a repository of the Hub
opening      models of any kind, also untrained ones and those of other libraries
adapters     models of transformers, timm and escnn
listing      the networks and models that there are
evaluating   `zoo.evaluate`, which takes all of these references
"""
