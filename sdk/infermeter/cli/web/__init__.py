"""The console's server: our page, the files it draws, and a read-only way to Prometheus and Alertmanager."""
