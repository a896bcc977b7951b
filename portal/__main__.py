"""`python -m portal …` is `manage.py …` where a wheel is installed."""

import sys

from portal.command_line import main

if __name__ == "__main__":
    sys.argv[0] = "vedetta"
    main()
