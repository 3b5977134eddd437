"""Which email addresses may enter a header or an SMTP command, a seller's or our own.

An address is the only text of a seller that reaches a header, so whatever is not plainly one bare
address is refused: CPython before 3.11.10 turns line breaks and encoded words in an address into
further headers.
"""

from __future__ import annotations

import re
from email.headerregistry import Address
from functools import cache
from uuid import UUID

from vibes_pipeline.errors import MailError

_LONGEST_ADDRESS = 254
_LONGEST_LOCAL_PART = 64
_LONGEST_DOMAIN = 253

# RFC 5322 dot-atom, less `%`, `!`, `|` and the backtick, which old relays gave a meaning.
_ATOM = r"[A-Za-z0-9#$&'*+/=?^_{}~-]+"
_LOCAL_PART = re.compile(rf"{_ATOM}(\.{_ATOM})*", re.ASCII)
_LABEL = r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_DOMAIN = re.compile(rf"({_LABEL}\.)+(?=[A-Za-z]){_LABEL}", re.ASCII)


class UnusableAddress(MailError):
    """A seller's address to which nothing can be sent; the text never repeats the address."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"the seller's email address cannot be used: {reason}")
        self.reason = reason


def usable_address(address: str | None) -> str:
    """`address` itself, if it is one bare `local@domain` of at most 254 ASCII characters.

    Raises UnusableAddress, with the reason, for anything else.
    """
    if not address:
        raise UnusableAddress("there is none")
    for is_wrong, reason in (
        (any(ord(c) < 32 or ord(c) == 127 for c in address), "it holds a control character"),
        (not address.isascii(), "it is not ASCII"),
        (" " in address, "it holds a space"),
        ("=?" in address, "it holds an encoded word"),
        ("," in address or ";" in address, "it is more than one address"),
        ("<" in address or ">" in address, "it holds angle brackets"),
        (address.count("@") != 1, "it does not have exactly one @"),
        (len(address) > _LONGEST_ADDRESS, f"it is longer than {_LONGEST_ADDRESS} characters"),
    ):
        if is_wrong:
            raise UnusableAddress(reason)
    local_part, domain = address.split("@")
    if len(local_part) > _LONGEST_LOCAL_PART or not _LOCAL_PART.fullmatch(local_part):
        raise UnusableAddress("the part before the @ is invalid")
    if len(domain) > _LONGEST_DOMAIN or not _DOMAIN.fullmatch(domain):
        raise UnusableAddress("the domain is missing or invalid")
    return address


def message_id(notice_id: UUID, sender: Address) -> str:
    """The `Message-ID` of a notice's mail, the same however often it is sent."""
    return f"<{notice_id}@{sender.domain}>"


@cache
def sender_address(sender: str) -> Address:
    """The `From` of all mails, out of `address` or `Name <address>`; MailError if unusable."""
    name, bracket, rest = sender.rpartition("<")
    spec = rest.removesuffix(">") if bracket else sender.strip()
    name = name.strip().strip('"')
    try:
        if "=?" in name or not name.isprintable() or (bracket and not sender.endswith(">")):
            raise MailError("it is not of that form")
        return Address(display_name=name, addr_spec=usable_address(spec))
    except MailError as failure:
        raise MailError(
            f"the sender must be an address or `Name <address>`, not {sender!r} ({failure})"
        ) from None
