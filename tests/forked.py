"""Run Snakemake in a fork of a process that has imported it already: a dry run then takes half the time."""

import multiprocessing
import os
import subprocess
import sys
import tempfile
from pathlib import Path

# What planning imports, except for twinbench itself: a fork imports that of its own folder.
PRELOAD = ["grimp", "pandas", "pydantic", "snakemake.cli", "tests.forked", "yaml"]


def snakemake(folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    """Run Snakemake in a project's folder, with the project's own package.

    Raises:
        TimeoutError: it took more than ten minutes.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOAD)
    with tempfile.TemporaryDirectory() as name:
        texts = [Path(name, stream) for stream in ("stdout", "stderr")]
        process = context.Process(target=_run, args=(folder, arguments, texts))
        process.start()
        process.join(600)
        if process.exitcode is None:
            process.kill()
            raise TimeoutError(f"snakemake {' '.join(arguments)}")
        said = [path.read_text(encoding="utf-8") for path in texts]
    return subprocess.CompletedProcess(arguments, process.exitcode, *said)


def _run(folder: Path, arguments: tuple[str, ...], texts: list[Path]) -> None:
    for number, path in enumerate(texts, start=1):
        with path.open("wb") as file:
            os.dup2(file.fileno(), number)
    os.chdir(folder)
    package = str(folder / "src")
    sys.path.insert(0, package)
    os.environ["PYTHONPATH"] = package  # of the jobs
    sys.argv = ["snakemake", *arguments]
    from snakemake.cli import main

    main(list(arguments))
