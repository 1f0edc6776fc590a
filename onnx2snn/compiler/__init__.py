"""The compiler: passes and calibration in order, the search for how layers fire, early exit, the report.

`compile` and `inspect` are its public verbs.
"""
