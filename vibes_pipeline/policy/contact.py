"""How a seller reaches a person, and where the links in mails lead (Rulebook §10)."""

from __future__ import annotations

from typing import Annotated

from vibes_pipeline.policy.parameter import Group, Parameter, References
from vibes_pipeline.policy.scalars import NotEmpty, Phone, Url


class Links(Group):
    """Where the source texts' links lead."""

    raise_a_claim: Parameter[Url]
    banned_items: Parameter[Url]
    tutorials: Parameter[Url]
    youtube_channel: Parameter[Url]
    training_sessions: Parameter[Url]
    package_tracking: Parameter[Url]
    seko_contact: Parameter[Url]


class Contact(Group):
    """How a seller reaches a person, and how to object (Rulebook §10)."""

    phones: Parameter[Annotated[tuple[Phone, ...], NotEmpty]]
    links: Links
    advance_notice: References
    how_to_object: References
