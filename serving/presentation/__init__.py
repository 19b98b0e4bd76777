"""Reports in words: one glossary and one presenter for terminal, pages and field descriptions.

Start at `report.ReportText`, which turns the report JSON into texts. Its words come from
`glossary.toml`, where every number has a name, a definition and a formula in each language;
numbers are written by `figures`. `mersalg.serving.cli.report_forms` prints the texts on a terminal
or as an HTML file, `mersalg.serving.dashboard` as a page.
"""
