"""The tests are a package, so that they import their helpers as `tests.support` wherever they are run from."""
