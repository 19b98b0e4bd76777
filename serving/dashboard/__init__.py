"""The dashboard: pages rendered on the server, one small script for the chart."""
