"""One inference as the service sees it: how long it took, how it ended, what was predicted and how surely."""
