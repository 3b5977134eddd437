"""Marketplaces that exist already, brought into the shape of the order warehouse.

One module per source. An importer maps; it neither mends nor drops rows: judging them is the
pipeline's part (Rulebook §13).
"""
