"""What two folds of one document make together. Pure.

The later one decides, but for a departure: who moves has connected to another edge before the old one says
that they are gone, and that must not show them as offline.
"""

from persister.read_records import Fold
from schemas.documents import ONLINE_EDGE


def together(earlier: Fold | None, later: Fold) -> Fold:
    """Return one fold that makes of any document what both do, one after the other."""
    if earlier is None or later.left is None:
        return later
    if earlier.left is not None:
        return later._replace(left=earlier.left | later.left)
    said_by = (earlier.values or {}).get(ONLINE_EDGE)
    if said_by is not None and said_by not in later.left:
        return earlier
    return later._replace(left=None, values={**(later.values or {}), ONLINE_EDGE: said_by})
