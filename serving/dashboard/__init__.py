"""The dashboard: pages rendered on the server, complete without a script.

Start at `shell`: a route takes a `TheVisit` (who looks, in which language, with which filters)
and returns `visit.page(name, template, ...)`. Templates extend `shell.html` and use `macros.html`,
charts are those of `mersalg.serving.presentation.charts`, texts those of its `pages.toml`. `pages`
has the first page and signing in.
"""
