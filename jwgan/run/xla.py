"""XLA's settings: the compilation cache, the CPU's libraries, CPU cores as devices.

XLA reads its flags when the first array is made, not when jax is imported: whoever calls these
functions first is in time.

Some examples need a process that has made no array yet, with a jaxlib that is known; this is one:

    >>> import contextlib, os, zlib
    >>> from unittest import mock
    >>> @contextlib.contextmanager
    ... def new_process(**environment):
    ...     early = mock.patch.object(xla, "is_too_late", lambda: False)
    ...     jaxlib = mock.patch("importlib.metadata.version", return_value="0.10.2")
    ...     with early, jaxlib, mock.patch.dict(os.environ, environment, clear=True):
    ...         yield
"""

import contextlib
import functools
import importlib.metadata
import os
import pathlib
import time
import zlib
from typing import Any

import jax

from jwgan.run import options

CACHE_NOTE = """
Compiled programs are kept in ~/.cache/jwgan/jax, at most 1 GB of them (the oldest go first), or in
the folder that JAX_COMPILATION_CACHE_DIR names; JAX_ENABLE_COMPILATION_CACHE=false keeps none.
"""
CACHE_BYTES = 2**30


def use_compilation_cache() -> None:
    """Keeps compiled programs as `CACHE_NOTE` says; only the user can read or write them.

    >>> folder = tempfile.mkdtemp()
    >>> with mock.patch.dict(os.environ, JAX_COMPILATION_CACHE_DIR=folder):  # the user's choice
    ...     xla.use_compilation_cache()
    >>> os.listdir(folder)
    ['.jwgan-checked']
    """
    # JAX keeps no program that compiled in less than a second, unless told otherwise. A run has a
    # dozen of those, and a restart would compile all of them again. (Of jax 0.10.0 and 0.10.2 the
    # older one prints two lines of errors for every program that it takes from the cache.)
    quiet = jax.__version_info__ >= (0, 10, 2)
    if quiet and "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS" not in os.environ:
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    # JAX reads the variable itself; that folder is the user's, and is not trimmed.
    if "JAX_COMPILATION_CACHE_DIR" in os.environ:
        with contextlib.suppress(OSError):
            remove_torn(pathlib.Path(os.environ["JAX_COMPILATION_CACHE_DIR"]))
        return
    folder = pathlib.Path.home() / ".cache" / "jwgan" / "jax"
    try:
        # 0700: what lies here is loaded and run as machine code, so nobody else may write it.
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        # JAX's cache grows without a limit unless told otherwise.
        trim(folder, CACHE_BYTES)
        remove_torn(folder)
    except OSError:
        return  # no home to write to: the run compiles, as it would at a first start
    jax.config.update("jax_compilation_cache_dir", str(folder))


def trim(folder: pathlib.Path, limit: int) -> None:
    """Removes the oldest files until the rest have at most `limit` bytes.

    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> for seconds, name in enumerate(["old", "new"]):
    ...     size = (folder / name).write_bytes(bytes(60))
    ...     os.utime(folder / name, (seconds, seconds))
    >>> xla.trim(folder, limit=100)
    >>> os.listdir(folder)
    ['new']
    """
    files = [(path.stat(), path) for path in folder.iterdir() if path.is_file()]
    total = 0
    # The files come from the newest on: what no longer fits is the oldest.
    for stat, path in sorted(files, key=lambda pair: -pair[0].st_mtime):
        total += stat.st_size
        if total > limit:
            # Another process may have trimmed it first.
            path.unlink(missing_ok=True)


CHECKED = ".jwgan-checked"  # when `remove_torn` was last there


def remove_torn(folder: pathlib.Path) -> None:
    """Removes programs that a killed process wrote in part.

    JAX writes a program into the file of its name at once, and never anew: a torn one would be
    compiled at every start, with a warning.

    >>> folder, program = pathlib.Path(tempfile.mkdtemp()), zlib.compress(b"a program")
    >>> size = (folder / "whole-cache").write_bytes(program)
    >>> size = (folder / "torn-cache").write_bytes(program[:-5])
    >>> xla.remove_torn(folder)
    >>> sorted(os.listdir(folder))
    ['.jwgan-checked', 'whole-cache']
    """
    # A hidden file: JAX's own names end in -cache and -atime.
    mark = folder / CHECKED
    since = mark.stat().st_mtime if mark.exists() else 0.0
    if since > time.time():  # the clock has gone back: what is new looks old
        since = 0.0
    mark.touch()  # before the look around, so that what is written meanwhile is new next time
    for path in folder.glob("*-cache"):
        try:
            # Others were whole at an earlier start. One second is a file system's coarsest clock.
            if path.stat().st_mtime >= since - 1 and not is_whole(path.read_bytes()):
                path.unlink()
        except OSError:  # another process has removed it, or it is no file of JAX's
            continue


def is_whole(program: bytes) -> bool:
    """Whether JAX could unpack a program; what is packed otherwise than by zlib passes.

    >>> program = zlib.compress(b"a program")
    >>> xla.is_whole(program), xla.is_whole(program[:-5])
    (True, False)
    """
    unpack = zlib.decompressobj()
    try:
        unpack.decompress(program)
    except zlib.error:
        return program.startswith(b"\x28\xb5\x2f\xfd")  # Zstandard's first bytes
    return unpack.eof


def let_every_process_write() -> None:
    """Has every process of a CPU run keep its compiled programs, not the first one alone.

    On a CPU each process's programs have keys of their own, so without this all but the first
    compile at every restart. JAX has no option for it: its own function is wrapped, in versions in
    which that was tried.
    """
    parts = getattr(jax, "_src", None)
    compiler: Any = getattr(parts, "compiler", None)
    joined: Any = getattr(parts, "distributed", None)
    write = getattr(compiler, "_cache_write", None)
    if not is_measured_jaxlib() or write is None or hasattr(write, "__wrapped__"):
        return

    @functools.wraps(write)
    def write_as_the_first(*args: Any, **kwargs: Any) -> None:
        own = joined.global_state.process_id
        joined.global_state.process_id = 0
        try:
            write(*args, **kwargs)
        finally:
            joined.global_state.process_id = own

    compiler._cache_write = write_as_the_first


FUSION = "xla_cpu_experimental_ynn_fusion_type"


def is_measured_jaxlib() -> bool:
    """Whether XLA has the experimental option in the form that was measured.

    >>> with mock.patch("importlib.metadata.version", return_value="0.9.2"):
    ...     xla.is_measured_jaxlib()
    False
    """
    return importlib.metadata.version("jaxlib").startswith(("0.10.", "0.11.", "0.12."))


def is_too_late() -> bool:
    """Whether XLA has made its devices, and so has read its flags.

    >>> x = jnp.zeros(1)
    >>> xla.is_too_late()
    True
    """
    # jax refuses another number of CPU devices from then on; it has no other public word for it.
    before = jax.config.jax_num_cpu_devices  # type: ignore[attr-defined]  # made at run time
    try:
        jax.config.update("jax_num_cpu_devices", 2 if before == 1 else 1)
    except RuntimeError:
        return True
    jax.config.update("jax_num_cpu_devices", before)
    return False


def use_eigen() -> None:
    """Has XLA:CPU run convolutions and matrix products in Eigen instead of YNNPACK.

    YNNPACK, the default from jaxlib 0.10 to 0.12, runs convolutions of up to 64 channels on one
    core, and small products slowly. XLA ends the process at flags that it does not know: this one
    is set for known versions only. It is never set against the user's own choice, and not when XLA
    has read its flags already, since `models.conv` chooses its kernels by what the flag says.

    >>> with new_process():
    ...     xla.use_eigen()
    ...     os.environ["XLA_FLAGS"]
    '--xla_cpu_experimental_ynn_fusion_type=-individual_convolution,-individual_dot'
    """
    flags = os.environ.get("XLA_FLAGS", "")
    # The option is appended to the user's flags, and does not take their place.
    if is_measured_jaxlib() and FUSION not in flags and not is_too_late():
        ours = f"--{FUSION}=-individual_convolution,-individual_dot"
        os.environ["XLA_FLAGS"] = f"{flags} {ours}".strip()


# On a GPU two runs of one program can differ: sums by atomics, as in some of cuDNN's gradients of
# kernels, come in any order. And two compilations can differ, since XLA chooses algorithms by
# timing them; one that is taken from the compilation cache cannot.
DETERMINISM = ("--xla_gpu_exclude_nondeterministic_ops=true", "--xla_gpu_autotune_level=0")


def use_determinism() -> None:
    """Has XLA give the same bits on a GPU each time. Never against the user's own flags.

    Raises:
      ValueError: XLA has read its flags already, and computes on a GPU.

    >>> with new_process(XLA_FLAGS="--xla_gpu_autotune_level=2"):
    ...     xla.use_determinism()
    ...     os.environ["XLA_FLAGS"]
    '--xla_gpu_autotune_level=2 --xla_gpu_exclude_nondeterministic_ops=true'
    """
    _add_flags(DETERMINISM, "deterministic is True")


# What may make a GPU faster: the name that --gpu-flags gives it, its flags, and the versions of
# jaxlib that know them, since XLA ends the process at a flag that it does not know. None has been
# timed on a card (`experiments.speed --gpu` does so), and so none is set unless it is asked for.
GPU_FLAGS = {
    # XLA's command buffers are CUDA graphs; by default they leave out convolutions and loops.
    "graphs": (
        "--xla_gpu_enable_command_buffer=+CONVOLUTION,+WHILE",
        "--xla_gpu_command_buffer_unroll_loops=true",
    ),
    "conv_fusion": ("--xla_gpu_experimental_enable_conv_fusion=true",),
    "nchw": ("--xla_gpu_force_conv_nchw=true",),
}
KNOWN_TO = {"graphs": ("0.10", "0.11"), "conv_fusion": ("0.10", "0.11"), "nchw": ("0.10", "0.11")}


def gpu_flags(names: str) -> tuple[str, ...]:
    """The flags of some of `GPU_FLAGS`, whose names are separated by spaces.

    Raises:
      ValueError: there is no such name, or this jaxlib may not know its flags.

    >>> with new_process():
    ...     xla.gpu_flags("nchw")
    ('--xla_gpu_force_conv_nchw=true',)
    """
    version = importlib.metadata.version("jaxlib")
    for name in names.split():
        options.require_choice("gpu_flags", name, GPU_FLAGS)
        if ".".join(version.split(".")[:2]) not in KNOWN_TO[name]:
            raise ValueError(
                f"gpu_flags is {name!r}: tried with jaxlib {' and '.join(KNOWN_TO[name])}, here is "
                f"{version}; leave it out, or set XLA_FLAGS='{' '.join(GPU_FLAGS[name])}'"
            )
    return tuple(flag for name in dict.fromkeys(names.split()) for flag in GPU_FLAGS[name])


def use_gpu_flags(names: str) -> None:
    """Has XLA try some of `GPU_FLAGS`. Never against the user's own flags.

    Raises:
      ValueError: as `gpu_flags`; or XLA has read its flags already, and computes on a GPU.

    >>> with new_process(XLA_FLAGS="--xla_gpu_autotune_level=2"):
    ...     xla.use_gpu_flags("nchw")
    ...     os.environ["XLA_FLAGS"]
    '--xla_gpu_autotune_level=2 --xla_gpu_force_conv_nchw=true'
    """
    _add_flags(gpu_flags(names), f"gpu_flags is {names!r}")


def _add_flags(flags: tuple[str, ...], what: str) -> None:
    """Adds flags of which the user has set none; `what` asks for them.

    Raises:
      ValueError: XLA has read its flags already, and computes on a GPU.
    """
    own = os.environ.get("XLA_FLAGS", "")
    ours = [flag for flag in flags if flag.split("=")[0] not in own]
    if not ours:
        return
    if not is_too_late():
        os.environ["XLA_FLAGS"] = " ".join([own, *ours]).strip()
    elif jax.default_backend() not in ("cpu", "tpu"):
        raise ValueError(
            f"{what}: XLA has read its flags already; set XLA_FLAGS='{' '.join(ours)}' before "
            "Python starts"
        )


def use_cores(count: int, num: int | None) -> None:
    """Has XLA make `num` devices of a CPU for so many trials, by default of the cores it has.

    Small programs keep one core busy, and those of different trials need not talk. Never against
    the user's own choice, and without effect once an array was made.

    >>> with new_process(), mock.patch.object(jax.config, "update", print):
    ...     xla.use_cores(count=4, num=2)
    jax_num_cpu_devices 2
    """
    # A divisor is needed, since every device must have as many trials.
    num = largest_divisor(count, cores()) if num is None else num
    # There are two ways in which a user can ask for CPU devices.
    own = "xla_force_host_platform_device_count" in os.environ.get("XLA_FLAGS", "")
    own = own or "JAX_NUM_CPU_DEVICES" in os.environ
    if num > 1 and not own and not is_too_late():
        jax.config.update("jax_num_cpu_devices", num)


def largest_divisor(number: int, at_most: int) -> int:
    """The largest divisor of a number that is at most so much.

    >>> xla.largest_divisor(12, at_most=5)
    4
    """
    return next(n for n in range(max(at_most, 1), 0, -1) if number % n == 0)


def cores() -> int:
    """Counts the CPU cores that this process may use.

    >>> with mock.patch.object(os, "sched_getaffinity", lambda process: {0, 1, 5}, create=True):
    ...     xla.cores()
    3
    """
    # A container or taskset may allow fewer cores than the machine has.
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
