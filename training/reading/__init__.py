"""Read, check and number what a shop file points at.

Start at `dataset`, which is what training learns from. `sources` reads files and queries as tables;
`keys`, `numbers` and `moments` read columns; `order_lines` and `catalogue_file` are made
of these, and `validation` counts what was left out. `basket_files` reads baskets for mining alone.
"""
