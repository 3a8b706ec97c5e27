"""Saltern's library: every decision as a function that a test can call.

Layers, lower may not import higher: ``contract`` < ``host`` | ``model`` < ``plan`` | ``images`` < ``recovery`` <
``terminal``. What minions import (``contract``, ``host``) needs the standard library and docker alone.
"""

VERSION = "0.1.0"
