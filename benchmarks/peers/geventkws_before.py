"""geventkws from another checkout, given by ``PYTHONPATH``, in the same program as ``geventkws``."""

from __future__ import annotations

import sys

if __name__ == "__main__":
    # ``python -m`` puts the working directory first, where this checkout's geventkws is. The benchmark's
    # programs are this checkout's all the same, because their package is already imported.
    del sys.path[0]
    from benchmarks.peers.geventkws import main

    main()
