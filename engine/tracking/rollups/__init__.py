"""Days counted once and added up later, to the same numbers as from their facts.

Start with `stored`, which brings the roll-ups of a store up to date, and `rolled_up`, which reads
those of a period. `day` is the roll-up of one day and how it is stored, `day_count` makes it from
facts, as it measures sets of offers that no roll-up has. `sums` adds days up: from their own sums,
and from those that `unit_sums` makes of units that return (over each `stratum` by `exact_sums`,
units as trials in `unit_trials`). `format_1` converts days of earlier formats.
"""
