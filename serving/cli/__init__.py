"""The `mersalg` command: one module a command."""
