"""The two severities of checks that block nothing.

A check that asks for a person is red in the UI until somebody has acted; its description begins
with "For a person". A check that informs is yellow; its description begins with "For information".
"""

import dagster as dg

ASKS_FOR_A_PERSON = dg.AssetCheckSeverity.ERROR
INFORMS = dg.AssetCheckSeverity.WARN
