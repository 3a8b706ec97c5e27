"""What happens on one host: container specs, swaps, files, probes, healing. Standard library and docker only."""
