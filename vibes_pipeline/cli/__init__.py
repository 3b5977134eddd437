"""The `vibes` command: thin; each command reads its arguments and calls into the package.

Modules that bring Dagster or the engine along are imported when a command runs, so that
`vibes --help` and `vibes export` answer at once.
"""
