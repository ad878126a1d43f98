"""``python -m sdeplug``."""

from sdeplug.cli.main import main

if __name__ == "__main__":
    main()
