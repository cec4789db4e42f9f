"""Parts of the docks: controls, background tasks, plots, export, remembered settings."""
