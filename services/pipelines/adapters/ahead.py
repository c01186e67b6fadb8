"""What a laptop's fork server imports before a step's pod asks for it: the launcher alone, and no user's code."""

from services.pipelines.adapters.launcher import import_ahead

import_ahead()
