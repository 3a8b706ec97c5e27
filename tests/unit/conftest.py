"""Unit tests set up no logging: without this, Salt would print all it kept for later at the end of the test run."""

import salt._logging.impl

salt._logging.impl.shutdown_temp_handler()
