"""Days counted once and added up later, to the same numbers as from their facts.

Start with `stored`: it brings the roll-ups of a store up to date and reads those of a period. `day`
is the roll-up of one day and how it is stored, `sums` adds days up, `format_1` converts those of
version 0.1.0.
"""
