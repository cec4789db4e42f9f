"""Parts of the Inspect dock: particle table, filter, sections, tours of doubtful particles, colours, histogram."""
