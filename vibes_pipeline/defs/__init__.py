"""What Dagster is told: assets, partitions, checks, jobs, schedules, sensors; no rule is here.

Each stage of the flow has a folder, whose `assets(location)` builds its assets. An asset's body is
a call or two into the rest of the package.
"""
