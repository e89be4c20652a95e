"""What the rules cost on a large fleet: synthetic series, a real Prometheus, the durations it reports of itself."""
