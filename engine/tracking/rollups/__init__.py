"""Days counted once and added up later, to the same numbers as from their facts.

Start with `stored`: it brings the roll-ups of a store up to date and reads those of a period. `day`
is the roll-up of one day and how it is stored, `day_count` makes it from facts, `sums` adds days
up, by `exact_sums`, with the rates of each unit in `unit_counts`, and `format_1` converts days of
earlier formats.
"""
