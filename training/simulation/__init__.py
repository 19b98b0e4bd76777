"""Shops to try: the demo, simulated shoppers whose behaviour is known, and sample files.

Start at `demo`, which trains on Complete Journey, serves and lets `shoppers` check out by `replay`.
`invented_shop` tests the measurement alone; `sample_shop` writes files for the tutorial.
"""
