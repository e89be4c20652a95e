"""How recorded values leave the process: OpenTelemetry's data classes, readers and exporters.

The only room that imports OpenTelemetry's SDK; ``configure()`` loads it.
"""
