"""The week's report: one HTML page per cycle for operations and the owners of the policy.

`figures` says what it shows, `week` and `lake` read it, `plots` draws it, `page` writes the page
and the list of all weeks. Only what is decided, posted and sent is shown; nothing is decided here.
"""
