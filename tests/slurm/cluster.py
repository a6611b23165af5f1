"""A Slurm of one node for tests: its own munged, slurmctld and slurmd on loopback, without systemd.

Debian's packages are installed if they are missing, and stay. Everything else is put back by ``stop``: two files in
``/etc/slurm`` (Slurm's job step drops ``SLURM_CONF``, so its configuration can be nowhere else), two devices, one folder
in ``/run``. A Slurm that is configured already is never touched.
"""

import contextlib
import os
import platform
import secrets
import shutil
import socket
import stat
import subprocess
import time
from pathlib import Path

import psutil

MARK = "# Made by twinbench's tests/slurm; stopped, the tests remove it."
CONFIGURATION = Path("/etc/slurm")
STATE = Path("/run/twinbench-slurm")
# What Slurm takes for GPUs: each needs a character device of its own, and any will do. These are like /dev/null.
GPUS = [Path("/dev/twinbench-gpu0"), Path("/dev/twinbench-gpu1")]
DAEMONS = ("munged", "slurmctld", "slurmd")

# CPUs and memory are said, not measured: two jobs at a time on every machine, so that a kill finds jobs that wait.
# No accounting and no cgroups, which a container has not; finished jobs stay in the queue's memory for an hour.
SLURM_CONF = """{mark}
ClusterName=twinbench
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller_port}
SlurmdPort={node_port}
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={state}/munge.socket
StateSaveLocation={state}/controller
SlurmdSpoolDir={state}/node
SlurmctldPidFile={state}/slurmctld.pid
SlurmdPidFile={state}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
ReturnToService=2
MinJobAge=3600
GresTypes=gpu
SlurmdParameters=config_overrides
NodeName={host} NodeAddr=127.0.0.1 CPUs=2 RealMemory=8000 Gres=gpu:{gpus} State=UNKNOWN
PartitionName=cpu Nodes=ALL Default=YES State=UP
PartitionName=gpu Nodes=ALL State=UP
"""


class NoSlurm(Exception):  # noqa: N818 - a reason to skip, no error
    """Why this machine cannot have a Slurm of its own."""


def run(*command: str, timeout: float = 60) -> str:
    """Return a command's output.

    Raises:
        subprocess.CalledProcessError: it failed.
    """
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=True).stdout


def jobs(states: str = "all") -> list[dict[str, str]]:
    """Return the jobs in these states: id, state, run id, partition, comment."""
    keys = ("id", "state", "name", "partition", "comment")
    lines = run("squeue", "--noheader", f"--states={states}", "--format=%i|%T|%j|%P|%k").splitlines()
    return [dict(zip(keys, line.split("|", len(keys) - 1), strict=True)) for line in lines]


class Cluster:
    """The Slurm of this test run."""

    def __init__(self):
        self.daemons: list[subprocess.Popen] = []

    def start(self) -> None:
        """Bring Slurm up, and wait until its node takes jobs.

        Raises:
            NoSlurm: this machine is not for it.
        """
        refuse()
        remove_leftovers()
        install()
        try:
            self.configure()
            for daemon, *options in (
                ("munged", "--foreground", f"--key-file={STATE}/munge.key", f"--socket={STATE}/munge.socket",
                 f"--pid-file={STATE}/munged.pid", f"--seed-file={STATE}/munge.seed"),
                ("slurmctld", "-D"),
                ("slurmd", "-D"),
            ):  # fmt: skip
                self.launch(daemon, *options)
            self.wait_for_node()
        except BaseException:
            self.stop()
            raise

    def configure(self) -> None:
        """Write keys, devices and configuration."""
        for folder in (STATE, STATE / "controller", STATE / "node"):
            folder.mkdir(mode=0o755)
        (STATE / "munge.key").write_bytes(secrets.token_bytes(128))
        (STATE / "munge.key").chmod(0o400)
        try:
            for gpu in GPUS:
                os.mknod(gpu, 0o600 | stat.S_IFCHR, os.makedev(1, 3))
        except PermissionError:
            raise NoSlurm("no right to make devices here, which stand for GPUs") from None
        controller_port, node_port = free_ports(2)
        text = SLURM_CONF.format(
            mark=MARK, host=platform.node().split(".")[0], state=STATE, gpus=len(GPUS),
            controller_port=controller_port, node_port=node_port,
        )  # fmt: skip
        CONFIGURATION.mkdir(exist_ok=True)
        (CONFIGURATION / "gres.conf").write_text(
            f"{MARK}\n" + "".join(f"Name=gpu File={gpu}\n" for gpu in GPUS), encoding="utf-8"
        )
        (CONFIGURATION / "slurm.conf").write_text(text, encoding="utf-8")

    def launch(self, daemon: str, *options: str) -> None:
        """Start a daemon in the foreground, and note its process for a later run that finds this one killed."""
        with (STATE / f"{daemon}.log").open("w") as log:
            process = subprocess.Popen([daemon, *options], stdout=log, stderr=log, start_new_session=True)
        self.daemons.append(process)
        (STATE / f"{daemon}.process").write_text(str(process.pid))
        if daemon == "munged":
            wait(lambda: (STATE / "munge.socket").exists(), 10, "munged made no socket")

    def wait_for_node(self) -> None:
        """Return when the node is idle.

        Raises:
            TimeoutError: it never is; the message has the daemons' last lines.
        """

        def idle() -> bool:
            result = subprocess.run(
                ["sinfo", "-h", "-o", "%T"], capture_output=True, text=True, check=False, timeout=60
            )
            return "idle" in result.stdout.split()

        try:
            wait(idle, 30, "the node never became idle")
        except TimeoutError as error:
            logs = (f"{name}: {(STATE / f'{name}.log').read_text()[-1500:]}" for name in DAEMONS)
            raise TimeoutError(f"{error}\n" + "\n".join(logs)) from None

    def stop(self) -> None:
        """Cancel what runs, end every process by its id, and remove what ``start`` wrote."""
        if len(self.daemons) == len(DAEMONS):
            # Whatever a sick Slurm answers, its daemons end below, and what is left of its jobs with them.
            with contextlib.suppress(subprocess.SubprocessError):
                run("scancel", "--user=root")
                wait(lambda: not jobs("PENDING,RUNNING,COMPLETING"), 30, "jobs outlive scancel", must=False)
        for process in reversed(self.daemons):
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.daemons.clear()
        remove_leftovers()


def refuse() -> None:
    """Raise NoSlurm with the reason if this machine is not root's Debian, or has a Slurm already."""
    if os.geteuid() != 0:
        raise NoSlurm("only root may start Slurm's daemons")
    if shutil.which("apt-get") is None:
        raise NoSlurm("no apt-get here to install Slurm with")
    if "SLURM_CONF" in os.environ or "SLURM_JOB_ID" in os.environ or Path("/run/slurm/conf").exists():
        raise NoSlurm("this machine belongs to a Slurm cluster")
    if (shutil.which("sbatch") or "/usr/bin/sbatch") != "/usr/bin/sbatch":
        raise NoSlurm(f"{shutil.which('sbatch')} is not Debian's")
    for path in (CONFIGURATION / "slurm.conf", CONFIGURATION / "gres.conf"):
        if path.exists() and not is_ours(path):
            raise NoSlurm(f"{path} exists: Slurm is configured here already")


def is_ours(path: Path) -> bool:
    """Return whether these tests wrote a configuration file."""
    return path.read_text(encoding="utf-8", errors="replace").startswith(MARK)


def install() -> None:
    """Install Debian's packages unless they are there.

    Raises:
        NoSlurm: apt-get cannot.
    """
    if all(shutil.which(program) for program in (*DAEMONS, "sbatch", "srun")):
        return
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    for arguments in (["update"], ["install", "--yes", "--no-install-recommends", "slurm-wlm", "munge"]):
        result = subprocess.run(
            ["apt-get", *arguments], env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=180, check=False,
        )  # fmt: skip
        if result.returncode != 0:
            lines = result.stderr.strip().splitlines() or ["no message"]
            raise NoSlurm(f"apt-get {arguments[0]} failed: {lines[-1]}")


def remove_leftovers() -> None:
    """End the processes and remove the files of this Slurm, or of one whose tests were killed."""
    processes = [process for name in DAEMONS if (process := noted(name))]
    if is_ours_alone():
        # Started by our slurmd, and detached from it.
        processes += [process for process in psutil.process_iter(["name"]) if process.info["name"] == "slurmstepd"]
    for process in processes:
        process.kill()
    psutil.wait_procs(processes, timeout=10)
    for path in (CONFIGURATION / "slurm.conf", CONFIGURATION / "gres.conf"):
        if path.exists() and is_ours(path):
            path.unlink()
    for gpu in GPUS:
        gpu.unlink(missing_ok=True)
    shutil.rmtree(STATE, ignore_errors=True)


def is_ours_alone() -> bool:
    """Return whether the machine's Slurm is the one of these tests."""
    path = CONFIGURATION / "slurm.conf"
    return path.exists() and is_ours(path)


def noted(daemon: str) -> psutil.Process | None:
    """Return a daemon's living process, by the id that was noted when it started."""
    try:
        process = psutil.Process(int((STATE / f"{daemon}.process").read_text()))
        return process if process.name() == daemon else None
    except (FileNotFoundError, ValueError, psutil.NoSuchProcess):
        return None


def free_ports(count: int) -> list[int]:
    """Return ports that nothing listens on now."""
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def wait(condition, seconds: float, message: str, *, must: bool = True) -> None:
    """Return as soon as the condition holds.

    Raises:
        TimeoutError: it does not within so many seconds, and ``must`` is set.
    """
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            if must:
                raise TimeoutError(f"{message} within {seconds:.0f} s")
            return
        time.sleep(0.5)
