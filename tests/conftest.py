"""Laws are judged by what they find, on any machine: how long an example takes says nothing here."""

from hypothesis import settings

settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")
