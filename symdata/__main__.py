"""`python -m symdata` is the command `symdata`, also where the current folder has a `cli.py` or a `zoo/` of its own.

`python -m` puts the current folder first on the path, and PYTHONPATH may name one: our packages are loaded here, before
anything can look for them there. Later imports, and those of worker processes, find them loaded.
"""

import sys
from pathlib import Path

_ROOT = str(Path(__file__).parents[1])
sys.path.insert(0, _ROOT)
try:
    import cards  # noqa: F401
    import zoo  # noqa: F401
    from cli.main import main as main
finally:
    sys.path.remove(_ROOT)

if __name__ == "__main__":
    main(prog_name="symdata")
