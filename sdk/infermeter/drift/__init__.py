"""Does a model see what it was trained on? References, what is counted against them, and scores of the difference."""
