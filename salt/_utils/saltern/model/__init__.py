"""From the operator's pillar and the service folders to one checked model, and from that to one slice per host.

The way of the data::

    *.sls ─ tree ─┐
                  ├─ schema ─ resolve ─ checks ─► Cloud ─ render · merge · specs ─► slices, origins ─ store
    service.yaml ─┘

Faults are collected as ``Problem`` on the way, never raised one by one: an operator reads all of them at once.
"""
