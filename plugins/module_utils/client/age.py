# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Encryption for the standard tool `age` (https://age-encryption.org/v1)."""

from __future__ import annotations

import contextlib
import re
import secrets

with contextlib.suppress(ImportError):  # the module that needs it reports it
    import pyrage

# without those that are mistaken for others when read aloud or written down
_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"


def encrypt_to(recipient: str, content: bytes) -> bytes:
    """Encrypt for the holder of a private key, in age's text form.

    :param recipient: an SSH public key (Ed25519 or RSA), as a line of `authorized_keys`, or an age public key.
    :raises ValueError: it is none of these; the text isn't repeated, it could be a private key.
    """
    try:
        if recipient.startswith("age1"):
            key = pyrage.x25519.Recipient.from_str(recipient.strip())
        else:
            key = pyrage.ssh.Recipient.from_str(recipient.strip())
    except pyrage.RecipientError:
        other_type = re.match(r"(ssh|ecdsa|sk)-[a-z0-9@.-]+(?= )", recipient)
        what = f"is a key of type {other_type[0]}" if other_type else "is not a public key"
        raise ValueError(
            f"the recipient {what}; expected an SSH public key of type ssh-ed25519 or ssh-rsa, as `ssh-keygen -y` "
            "prints it, or an age public key (age1…)"
        ) from None
    return bytes(pyrage.encrypt(content, [key], armored=True))


def encrypt_with(passphrase: str, content: bytes) -> bytes:
    """Encrypt with a passphrase, in age's text form."""
    return bytes(pyrage.passphrase.encrypt(content, passphrase, armored=True))


def new_passphrase() -> str:
    """Make a passphrase of 119 bits: six groups of four letters and digits."""
    return "-".join("".join(secrets.choice(_LETTERS) for _letter in range(4)) for _group in range(6))
