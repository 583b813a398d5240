"""Numbers read from the inference log."""
