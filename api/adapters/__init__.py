"""Shapes that other tools want: OpenBB Workspace and Grafana. Thin: what they show, the services work out."""
