"""What all experiments share: runs and their records, the training of a network, tables, bands, pictures."""
