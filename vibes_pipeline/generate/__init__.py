"""Made marketplaces: order warehouses full of believable shops, for demos, tests and measurements.

`habits` and `words` hold what may be tuned, `roster` makes the sellers and products, the `.sql`
files of this folder make everything that happens to them, `marketplace` puts it together. Nothing
here knows the programme's rules: it makes events, and leaves judging them to the pipeline.
"""

from vibes_pipeline.generate.habits import Habits
from vibes_pipeline.generate.marketplace import MadeMarketplace, generate_marketplace

__all__ = ["Habits", "MadeMarketplace", "generate_marketplace"]
