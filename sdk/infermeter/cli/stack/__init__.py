"""A real collector, Prometheus and Alertmanager on this machine: found or built, started, watched and stopped.

Knows no terminal: `infermeter up` and the tests in tests/pipeline use the same `stack.Stack`.
"""
