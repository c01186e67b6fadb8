"""What shows how a platform fares: Grafana's dashboards and the page of metrics, written from short descriptions."""
