"""The Grafana dashboards, from which `python -m deploy.dashboards` writes the chart's JSON files."""
