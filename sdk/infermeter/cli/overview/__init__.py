"""The overview in a terminal: the numbers of `infermeter top` and how they look."""
