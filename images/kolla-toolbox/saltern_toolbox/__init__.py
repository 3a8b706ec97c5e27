"""The toolbox program: compares databases, users, jobs and the identity catalogue with what is wanted, then changes
only what differs. Input and answer are JSON (docs/interfaces.md, section 6); no secret leaves it."""
