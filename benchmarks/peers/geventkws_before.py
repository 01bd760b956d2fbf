"""geventkws of another checkout, which ``PYTHONPATH`` names, in the same program as ``geventkws``."""

from __future__ import annotations

import sys

if __name__ == "__main__":
    # ``python -m`` puts the working directory first, where this checkout's geventkws is; the programs of the
    # benchmark are this checkout's all the same, for their package is imported already.
    del sys.path[0]
    from benchmarks.peers.geventkws import main

    main()
