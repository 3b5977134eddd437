"""The week's report: one HTML page per cycle for operations and the owners of the policy.

`week` reads the figures, `plots` draws them, `page` writes the page and the list of all weeks. Only
what is decided, posted and sent is shown; nothing is decided here.
"""
