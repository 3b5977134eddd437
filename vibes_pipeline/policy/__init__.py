"""The programme's numbers: one YAML file per country, dated and cited, and its strict reading.

`scalars` and `parameter` are what a policy is made of; `rules`, `slots`, `claims`, `fulfilment`,
`warehouse` and `contact` hold its groups, `model` joins them; `loader` reads one from its file,
`tables` gives the relations that SQL joins as `policy.NAME`. What a rule does with a number does
not belong here.
"""

from vibes_pipeline.policy.loader import load_policy
from vibes_pipeline.policy.model import Policy
from vibes_pipeline.policy.parameter import Parameter, Reference

__all__ = ["Parameter", "Policy", "Reference", "load_policy"]
