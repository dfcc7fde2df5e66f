"""``python -m gaia_ssl`` is ``gaia-ssl``."""

from gaia_ssl.console import main

if __name__ == '__main__':
    main()
