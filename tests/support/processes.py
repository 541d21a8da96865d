"""A program run by several processes of `torch.distributed` on one machine, over gloo and a file."""

import os
import subprocess
import sys
from pathlib import Path

from tests.conftest import ROOT

PRELUDE = """
import sys
import torch
import torch.distributed as dist

rank, world, folder = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
dist.init_process_group("gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=world)
"""
"""What every program begins with: `rank`, `world`, `folder`, and `torch.distributed` ready."""


def run_processes(program: str, folder: Path, world: int = 2, timeout: float = 120) -> None:
    """Run `program` after `PRELUDE` on `world` processes at once; fails with what the first failing one said."""
    code = PRELUDE + program + "\ndist.destroy_process_group()\n"
    environment = os.environ | {"OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
    started = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(rank), str(world), str(folder)],
            cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )
        for rank in range(world)
    ]  # fmt: skip
    try:
        outputs = [process.communicate(timeout=timeout)[0] for process in started]
    finally:
        for process in started:
            process.kill()
    failed = [o for process, o in zip(started, outputs, strict=True) if process.returncode]
    assert not failed, "\n".join(failed)
