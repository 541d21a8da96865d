"""How symmetric are these images really? Tests of the law of the pixels, whatever a manifest says."""
