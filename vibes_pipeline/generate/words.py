"""The words of shop and product names, and the addresses that no mail can reach.

All words are names of things or qualities: no made shop has a person's name.
"""

from __future__ import annotations

SHOP_FIRST = (
    *(
        "Amber",
        "Baobab",
        "Blue",
        "Bright",
        "Cedar",
        "Clay",
        "Coastal",
        "Copper",
        "Coral",
        "Crystal",
    ),
    *("Delta", "Golden", "Granite", "Green", "Harbour", "Harmattan", "Indigo", "Ivory", "Lagoon"),
    *("Mango", "Maple", "Marble", "Northern", "Ocean", "Orchard", "Palm", "River", "Savanna"),
    *("Silver", "Sunrise", "Terracotta", "Twin", "Velvet", "White"),
)
SHOP_SECOND = (
    *("Anchor", "Arrow", "Basket", "Bay", "Bell", "Bridge", "Calabash", "Canoe", "Compass"),
    *("Crown", "Drum", "Feather", "Gate", "Grove", "Hill", "Kite", "Lantern", "Leaf", "Loom"),
    *("Market", "Mosaic", "Pearl", "Pepper", "Pillar", "Plaza", "Ribbon", "Star", "Thread"),
    *("Tower", "Tree", "Valley"),
)
SHOP_KIND = {
    "PH": ("Mobile", "Phones & Gadgets"),
    "EL": ("Electronics", "Sound & Vision"),
    "HO": ("Homeware", "Kitchen & Home"),
    "BE": ("Beauty", "Care & Beauty"),
    "GR": ("Foods", "Provisions"),
    "BA": ("Kids", "Baby World"),
    "SP": ("Sports", "Active"),
    "WF": ("Fashion House", "Styles"),
    "MF": ("Menswear", "Outfitters"),
    "SH": ("Footwear", "Shoe Store"),
}
PRODUCT_WORDS = (
    *("Classic", "Compact", "Deluxe", "Everyday", "Family", "Handmade", "Large", "Light", "Modern"),
    *(
        "Original",
        "Patterned",
        "Plain",
        "Premium",
        "Small",
        "Soft",
        "Sturdy",
        "Travel",
        "Two-Piece",
    ),
)
# Values of the address column for sellers who cannot be reached by mail.
UNREACHABLE_ADDRESSES = (None, "", "not given", "orders(at)shop", "shop@")
