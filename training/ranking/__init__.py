"""The ranking of complements: item-item models, signals, examples and scorers.

Start at `ranker`, which fits scorers to examples of later orders; `hits` counts who finds
what was hidden, and `choice` says which ranking is served.
"""
