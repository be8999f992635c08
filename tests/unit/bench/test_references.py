"""What the benchmarks compare with starts as they start it: they run too seldom to tell."""

from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests.bench.processes import Rig

REFERENCES = sorted(path.stem for path in Path(__file__).parents[2].glob("bench/reference_*.py"))


@pytest.mark.parametrize("module", REFERENCES)
async def test_a_reference_starts(module: str, tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        server = await Rig(stack, tmp_path).reference(module)
        assert server.process.alive
