"""`python -m luthier.cli` is the command line too."""

from luthier.cli.main import main

main()
