"""Tracking: from facts to attributed outcomes, counts, rates and intervals.

Start with `report.build_report`. Facts go through `history` (each once, with its order and with its
unit by `visitors`) and `attribution` (which offers converted, by the rule of `conversion`, less the
returns of `order_lines`) to `measures` (the outcomes of a period), and from there to `rates`,
`incremental` (the effect by the hold-out, of `clusters` within `strata`) and `intervals`. `rollups`
counts whole days in advance, and keeps their counts where facts are dropped. `query` is the
question, in `local_days`; `comparison`, `cuped`, `many`, `quality` and `sample_ratio` are parts of
the answer, `report_csv` another form of it. `guardrail` and `power` are commands of their own.
"""
