"""From evidence to decisions: what to do about a container that failed, and why."""
