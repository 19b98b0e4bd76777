"""Days counted once and added up later, to the same numbers as from their facts.

Start with `stored`, which brings the roll-ups of a store up to date and drops old facts, and
`rolled_up`, which reads those of a period. Facts are counted by `offer_count` into rows of single
offers (`offer_table`), which `offer_sums` adds up to what each unit has of a set of offers: of all
of a day for its roll-up (`day`, made by `day_count`), and of each group of a report by keys, from
the facts or from the rows that are stored of each day. `sums` adds days up: from their own sums,
and from those that `unit_sums` makes of units that return (over each `stratum`, and with units as
trials). `format_1` converts days of earlier formats; `columns` are Arrow's.
"""
