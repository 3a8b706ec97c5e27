"""Real hosts on one machine for tests: each with its own Docker Engine, network, files and salt-minion."""
