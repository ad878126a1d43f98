"""``python -m sdeplug``."""

from sdeplug.cli import main

if __name__ == "__main__":
    main()
