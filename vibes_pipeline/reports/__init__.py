"""HTML pages for operations and the owners of the policy: a week's report, and a simulation's.

Of a week `figures` says what it shows, `week` and `lake` read it, `plots` draws it, `page` writes
the page and the list of all weeks; of a simulation `simulation`, `simulation_plots` and
`simulation_page` do. Both are drawn by `svg`. Nothing is decided here.
"""
