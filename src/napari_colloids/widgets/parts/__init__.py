"""What the docks are made of: controls, background tasks, plots, export, remembered settings."""
