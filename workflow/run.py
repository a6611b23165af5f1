"""Run Snakemake for `make report`: refuse while another run of this folder is alive, and tidy up after a killed one.

`kill -9` leaves Snakemake's lock, and jobs that nobody waits for. If no Snakemake of this folder is alive, the lock is
stale: it is cleared, and the jobs are ended. If one is alive, it is left alone. If Slurm still has jobs of this folder,
the run is refused: the Snakemake that submitted them may be alive on another machine, so the user decides.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parent.parent


def processes() -> list[tuple[psutil.Process, list[str]]]:
    """Return the other processes that work in this folder, with their command lines."""
    mine = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    # Another user's processes give no folder.
    here = [p for p in psutil.process_iter(["cwd", "cmdline"]) if p.info["cwd"] == str(ROOT) and p.pid not in mine]
    return [(process, process.info["cmdline"] or []) for process in here]


def is_snakemake(command: list[str]) -> bool:
    """Return whether a command line is Snakemake's own."""
    program, *words = [Path(word).name for word in command[:3]] or [""]
    return program == "snakemake" or (program.startswith("python") and "snakemake" in words)


def is_job(command: list[str]) -> bool:
    """Return whether a command line runs a rule's script."""
    return any(".snakemake/scripts/" in word for word in command)


def slurm_runs() -> list[str]:
    """Return the run ids of this folder's jobs that Slurm still has, which are also the jobs' names."""
    if shutil.which("squeue") is None:
        return []
    command = ["squeue", "--noheader", "--format=%j|%Z"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    jobs = [line.split("|", 1) for line in result.stdout.splitlines()]  # no line where squeue has no cluster to ask
    return sorted({name for name, folder in jobs if name.startswith("twinbench_") and Path(folder).resolve() == ROOT})


def tidy_up() -> None:
    """End the jobs and clear the lock of a run that is gone.

    Raises:
        SystemExit: a run of this folder is alive, or Slurm has jobs of one.
    """
    if runs := slurm_runs():
        sys.exit(
            "Slurm still has jobs of another run in this folder: wait for it, or, if it was killed, end them with "
            f"`{' && '.join(f'scancel --name={run}' for run in runs)}` and try again"
        )
    others = processes()
    # A process that a scheduler or a signal is ending takes a moment to be gone.
    alive = psutil.wait_procs([process for process, command in others if is_snakemake(command)], timeout=5)[1]
    if alive:
        who = f"process {alive[0].pid}"
        sys.exit(f"Snakemake already runs in this folder ({who}): wait for it or stop it, then try again")
    orphans = [process for process, command in others if is_job(command)]
    for process in orphans:
        process.terminate()
    for process in psutil.wait_procs(orphans, timeout=5)[1]:
        process.kill()
    if orphans:
        print(f"ended {len(orphans)} jobs of a run that was killed", file=sys.stderr)
    locks = list((ROOT / ".snakemake/locks").glob("*.lock"))
    for lock in locks:
        lock.unlink(missing_ok=True)
    if locks:
        print("cleared the lock of a run that is gone", file=sys.stderr)


if __name__ == "__main__":
    tidy_up()
    os.chdir(ROOT)
    # Where `--logger progress` is.
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT / "workflow/plugins"), os.getenv("PYTHONPATH")]))
    # The bin folder of this very Python: no shell needs to have activated it. Snakemake takes this process over,
    # so it gets Ctrl-C, or a signal to this process alone: it then ends its jobs and unlocks.
    snakemake = Path(sys.executable).with_name("snakemake")
    os.execv(snakemake, [str(snakemake), *sys.argv[1:]])
