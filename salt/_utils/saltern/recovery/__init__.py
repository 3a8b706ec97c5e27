"""From evidence to decisions: what to do about a container that failed, and why.

    event ─► queue ─► gather ─► decide ─► history ─► order to the minion
                       (state)   (pure)    (disk)

`recoverer` is the whole as one object; `drivers` says how to dispatch to what knows a cluster; `single` is the default.
"""
