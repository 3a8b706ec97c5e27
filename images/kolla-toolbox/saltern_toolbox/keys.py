"""A key pair for SSH. It is made here, as this program's Python has the means; who asked for it keeps it."""

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


def pair(comment):
    """``{"private": OpenSSH's PEM text, "public": one line}``."""
    key = Ed25519PrivateKey.generate()
    formats = serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    private = key.private_bytes(serialization.Encoding.PEM, *formats)
    ssh = serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
    public = key.public_key().public_bytes(*ssh)
    return {"private": private.decode(), "public": f"{public.decode()} {comment}"}
