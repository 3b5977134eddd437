"""The `vibes` command. Each command reads its arguments and calls into the package.

A command imports modules that need Dagster or an engine only when it runs, so that
`vibes --help` and `vibes export` answer at once.
"""
