"""What the parts hand to each other: changes, an error that may be shown, and the masking of secrets."""

from urllib.parse import quote, quote_plus

MASK = "********"
SHORTEST = 4  # shorter values would blot out ordinary text


class Failed(Exception):
    """The work could not be done; the text is for the operator and starts with the kind of failure."""

    def __init__(self, text, status=None):
        super().__init__(text)
        self.status = status  # of the HTTP answer, None where there was none


class Refused(Failed):
    """A service has answered that it will not."""


class Unreachable(Failed):
    """The database or a service does not answer (yet): worth another try within the time given."""


def change(kind, name, what, field=None):
    """One difference. ``what`` is create, update, delete, or unknown where nothing could be compared."""
    return {"kind": kind, "name": name, "what": what, "field": field}


def secrets_of(value):
    """Every password in a request, also as it would stand in a URL."""
    found = set()
    if isinstance(value, dict):
        for key, item in value.items():
            if key == "password" and isinstance(item, str):
                found |= {item, quote(item, safe=""), quote_plus(item)}
            else:
                found |= secrets_of(item)
    elif isinstance(value, list):
        for item in value:
            found |= secrets_of(item)
    return {text for text in found if len(text) >= SHORTEST}


def mask(value, secrets):
    """Strings, lists and dicts without secrets; longer secrets first, so that none is left in half."""
    if isinstance(value, dict):
        return {mask(key, secrets): mask(item, secrets) for key, item in value.items()}
    if isinstance(value, list):
        return [mask(item, secrets) for item in value]
    if isinstance(value, str):
        for secret in sorted(secrets, key=len, reverse=True):
            value = value.replace(secret, MASK)
    return value
