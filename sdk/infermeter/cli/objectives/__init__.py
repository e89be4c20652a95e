"""Service level objectives: a file that people write, read with the line of whatever is wrong, and written as series.

Knows the file and the rules made of it; asks no Prometheus.
"""
