"""Offline training: read, check, mine, fit, back-test, publish.

Start at `pipeline`, which is `mersalg train`: `reading` makes the data set of a shop's files and
`model_fit` the model of it, by `mining` (rules), `upsell` and `ranking`. `evaluation` is the
back-test, `gate` says what may be published, and `api` is all of it for data frames. `init` drafts
shop files; `simulation` holds the demo and the sample shops.
"""
