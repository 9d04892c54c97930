"""`python -m lesson`."""

import sys

from lesson.main import main

sys.exit(main())
