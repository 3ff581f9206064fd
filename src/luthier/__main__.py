"""`python -m luthier` is the command line too."""

from luthier.cli.main import main

main()
