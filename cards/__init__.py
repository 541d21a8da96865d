"""Templates of the cards that go with a published dataset or model.

A package, so that `importlib.resources.files("cards")` finds the templates in a checkout and in a wheel alike.
"""
