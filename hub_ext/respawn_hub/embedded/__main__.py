"""`python -m respawn_hub.embedded`."""

import sys

from respawn_hub.embedded.start import main

sys.exit(main())
