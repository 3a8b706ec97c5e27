"""What ``./saltern`` does: one OpenStack on this machine, its tests, its removal.

Runs on Debian 12's own Python with the standard library alone, since it is what makes the virtual environments. One
file is one concern (packages, engine, environments, daemons, …); ``up``, ``down`` and ``testing`` string them
together; ``made`` remembers what was made here, so that ``down --purge`` removes that and nothing else.
"""
