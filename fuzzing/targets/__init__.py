"""One module for each parser, with ``one_input(data)``, which raises an exception if something is wrong."""
