"""`python -m millstream.cli`: the `millstream` command where no script of that name is installed, as in its image."""

from millstream.cli import main

if __name__ == "__main__":
    main()
