"""``python -m geventkws`` runs the command line."""

from geventkws.cli import main

if __name__ == "__main__":
    main()
