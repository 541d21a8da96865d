"""The parts of the loopback Hub: what it stores, what it answers, and how it fails on request.

`objects` git hashes; `store` repositories and accounts; `cards` README metadata; `access` who may do what; `views` the
JSON that describes repositories; `repos`, `commits`, `files` the three families of routes; `faults` the request log and
fault injection. Start it with `tests.support.hub_server.LoopbackHub`.
"""
