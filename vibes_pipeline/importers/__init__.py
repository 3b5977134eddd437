"""Importers: each writes the data of a real marketplace as an order warehouse.

One module per source. An importer maps rows; it neither mends nor drops them: the pipeline judges
them (Rulebook §13).
"""
