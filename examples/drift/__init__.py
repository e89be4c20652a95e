"""A service whose inputs drift when told to: `python -m drift --help` in this folder's parent."""
