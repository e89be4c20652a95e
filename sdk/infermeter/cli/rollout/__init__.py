"""What `infermeter rules export` writes: rules, dashboards and runbooks with a team's own values in them.

Knows the formats of Prometheus, its operator and Grafana; talks to none of them.
"""
