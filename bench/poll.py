"""placeholder"""

from bench.figures import Findings
from bench.rig import Rig


async def run(rig: Rig) -> Findings:
    raise NotImplementedError
