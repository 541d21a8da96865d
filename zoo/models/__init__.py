"""The networks of the zoo: lattice groups on our own layers, finer groups on escnn, and the one registry of names."""
