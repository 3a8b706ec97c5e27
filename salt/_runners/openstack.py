"""
The operator's one front door: ``salt-run openstack.<verb>``.

Names are one word with underscores, arguments are ``name=value``. Every verb prints for a person; ``--out=json``
prints the same answer as data. Exit codes: 0 good, 1 failed, 2 wrong input or model, 3 differs (``plan``), 4 refused,
5 something does not answer.
"""

import logging

from saltern.contract.errors import SalternError

log = logging.getLogger(__name__)

GOOD, FAILED, WRONG, DIFFERS, REFUSED, UNREACHABLE = range(6)


def __virtual__():
    """Always there."""
    return "openstack"


# -- helpers -----------------------------------------------------------------------------------------------------------


def _answer(kind, data, retcode=GOOD):
    # Salt takes the exit code from ``retcode`` inside ``data``; beside it, it would break the outputter.
    return {"data": {"kind": kind, **data, "retcode": retcode}, "outputter": "openstack"}


def _error(exc, retcode=FAILED):
    """Answer for an error of the library: a sentence instead of a traceback."""
    if isinstance(exc, SalternError):
        data = {"message": exc.message, "where": exc.where, "hint": exc.hint}
    else:
        data = {"message": str(exc), "where": "", "hint": ""}
    return _answer("error", data, retcode)
