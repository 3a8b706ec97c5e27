"""From the operator's pillar and the service folders to one checked model, and from that to one slice per host."""
