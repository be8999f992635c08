"""Laws are judged by what they find, on any machine: how long an example takes says nothing here."""

import os

from hypothesis import settings

settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")

# Settings of an edge or a gateway can't be made without one. Tests that look at tokens have their own.
os.environ.setdefault("TOKEN_SECRET", "for-tests-that-look-at-no-token-0123456789")
