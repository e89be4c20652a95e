"""Checks of rule files, dashboards and runbooks against the series that exist.

Serves `infermeter check` and our own tests. Knows PromQL, the catalogue and the formats of these files. Talks to no
server; promtool is run by whoever calls.
"""
