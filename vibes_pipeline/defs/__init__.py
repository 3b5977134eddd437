"""All that imports Dagster: names, schedules, partitions, checks, and nothing of the rules.

One folder per stage of the flow; each asset's body is a call or two into the package.
"""
