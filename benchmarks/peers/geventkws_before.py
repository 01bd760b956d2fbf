"""geventkws from another checkout, given by ``PYTHONPATH``, in the same programs as ``geventkws``."""

from __future__ import annotations

import sys

if __name__ == "__main__":
    # ``python -m`` puts the working directory first, where this checkout's geventkws is. The benchmark's
    # programs are this checkout's all the same, because their package is already imported.
    del sys.path[0]
    if any(argument.startswith("--redis") for argument in sys.argv):
        from benchmarks.peers.geventkws_channels import main
    else:
        from benchmarks.peers.geventkws import main

    main()
