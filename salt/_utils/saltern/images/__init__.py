"""The image tree: rendering, input digests, and the order and outcome of builds."""
