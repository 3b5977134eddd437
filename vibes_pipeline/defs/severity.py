"""What a check that blocks nothing wants: a person, or only to inform.

One that asks for a person is red in the UI until somebody has done something, one that informs is
yellow. The check's description begins with which of both it is.
"""

import dagster as dg

ASKS_FOR_A_PERSON = dg.AssetCheckSeverity.ERROR
INFORMS = dg.AssetCheckSeverity.WARN
