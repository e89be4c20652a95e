"""The dashboards' sources: `panels` knows Grafana's JSON, each other module one dashboard, `build` writes them all."""
