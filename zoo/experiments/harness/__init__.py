"""What all experiments share: jobs and their records, tables, bands, pictures."""
