"""One run from its options to its page: prepare, train, retry, conclude.

The callbacks between two chunks are in `session`, those of a sweep in `sweep_session`; this module
stands above both and picks one.

In the examples a run has made its steps, and was killed before its result was written.

>>> import contextlib, pathlib, shutil, tempfile
>>> killed = pathlib.Path(shutil.copytree(finished, tempfile.mkdtemp(), dirs_exist_ok=True))
>>> (killed / "result.json").unlink()
>>> config = lifecycle.options_of(mine, {"run_dir": str(killed), "resume": "yes"})
>>> with contextlib.ExitStack() as stack:
...     ready = lifecycle.prepare(mine, config, stack, ["--resume"])
"""

import contextlib
import dataclasses
import functools
import json
import math
import pathlib
import signal
import sys
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

from jwgan import checkpoint, data, loop, report, sources
from jwgan.check import one_line, printable
from jwgan.data import memory
from jwgan.run import (
    console,
    directory,
    evaluate,
    exact_w1,
    general,
    hosts,
    inherit,
    output,
    session,
    shapes,
    starts,
    sweep,
    sweep_build,
    sweep_session,
    tasks,
    tracking,
    verify,
)
from jwgan.run.experiment import Experiment
from jwgan.run.options import check

MAX_RETRIES = 10  # of --on-nonfinite restore


def _require_memory(state: Any, batch: Any, devices: int = 1) -> None:
    """Raises ValueError if a state, its gradients and a batch cannot fit in this machine.

    On accelerators the same is asked of each of the `devices` that the state is divided over.
    """
    size = lambda leaf: math.prod(leaf.shape) * 4  # bytes; smaller dtypes count as float32
    needed = 2 * sum(map(size, jax.tree.leaves(state))) + size(batch)  # labels are small
    words = "the state and a batch", "make networks or batch smaller"
    memory.require(needed, *words)
    memory.require_on_device(needed // devices, *words)


def _check(config: Any) -> None:
    """Raises ValueError for options that no run, or no sweep, can have."""
    check(config)
    if sweep.several(config):
        sweep.check(config)


def options_of(experiment: Experiment, given: dict[str, Any]) -> Any:
    """The options of a run: those given, and on a resume the run's own for all others.

    Raises:
      ValueError: options that no run can have, or that this run cannot go on with.

    >>> config = lifecycle.options_of(mine, {"run_dir": str(finished), "resume": "yes", "steps": 9})
    >>> config.steps, config.batch_size  # the second is the run's own
    (9, 4)
    """
    # A resume compares what is given itself: the run's own options have the paper's settings.
    config = experiment.config(**experiment.with_settings(given))
    _check(config)
    # Processes join before anything asks JAX for devices: one that has joined no others sees only
    # its own.
    hosts.start(config)
    if config.resume != "no":
        folder = directory.choose_folder(config, experiment.name)
        # `auto` ends here: with a run it becomes `yes`, without one it means the same as `no`.
        if (folder / "config.json").exists():
            config = directory.resumed(experiment, {**given, "resume": "yes"}, folder)
            # The folder is written into the options, so that `prepare` and a message's advice name
            # this one and no later one.
            config = dataclasses.replace(config, run_dir=str(folder))
            _check(config)
    if config.distributed or config.coordinator:
        hosts.wait_for_all("options")  # before the first process makes what the others look for
    config = general.with_decay_steps(config)
    general.check(config)
    return config


def _assembled(config: Any, name: str, folder: pathlib.Path, task: Any, build: Any) -> session.Run:
    """The run with its algorithm and source; shape errors show here, before anything is written."""
    # A sweep divides trials and not batches, on a mesh of its own.
    mesh = None if sweep.several(config) else hosts.make_mesh(config)
    together = sweep_build.assemble(config, build, task) if sweep.several(config) else None
    if together:
        algorithm, source = together.algorithm, together.source
        make_source = together.make_source
    else:
        algorithm = build(config, task.shape)
        make_source = lambda: task.source(config.n_critic, config.batch_size, mesh)
        source = make_source()
    run = session.Run(config, name, folder, task, algorithm, source, None, 0, {}, mesh, together)
    run = run._replace(make_source=make_source)
    # A sweep divides its trials; a single run has its whole state on every device.
    devices = together.mesh.size if together and together.mesh else 1
    _require_memory(jax.eval_shape(lambda: _init(run)), source.batch, devices)
    return run


def prepare(
    experiment: Experiment, config: Any, stack: contextlib.ExitStack, argv: Sequence[str] = ()
) -> session.Run:
    """Loads, builds, checks, and only then writes into the run's directory.

    The directory is locked until `stack` is left; `argv` is recorded there as the command.

    Raises:
      ValueError: options or data that nothing can be trained with, or that the run cannot go on
        with; nothing was written then.
      MissingPackageError: a package that the end of the run would need is not installed.
      CheckpointError: a run that is to go on has no whole checkpoint.
      SystemExit: with code 0, the run is finished already.

    >>> ready.step, ready.source.batch.shape  # [n_critic, B, *D]
    (2, (5, 4, 2, 2, 1))
    """
    name = experiment.name
    first = hosts.is_first()
    resumes = config.resume == "yes"
    # The others do not look at the folder of a new run: the first process may have made it already,
    # and they would refuse it.
    reads = first or resumes
    folder = directory.choose_folder(config, name) if reads else pathlib.Path(config.run_dir)
    task = experiment.load(config)
    config = tasks.with_classes(config, task)
    build = experiment.build_for(task)
    # The packages are needed hours later, at the end of the run: they are asked for now.
    if config.w1_every or (config.quality and task.problem is not None):
        exact_w1.require_packages()
    tracking.require(config)
    try:
        run = _assembled(config, name, folder, task, build)
    except data.DataError:
        raise
    except ValueError as error:
        raise shapes.with_advice(error, build, config, task) from error
    together = run.sweep
    description = directory.describe(experiment, config, task, argv)
    if together:
        description["trials"] = [one.described(together.swept) for one in together.trials]
    inherited = None
    if config.init_from and not resumes:
        inherited = inherit.from_run(config.init_from, jax.eval_shape(lambda: _init(run)))
        description["init_from"] = inherited.described()
    if resumes:
        run = _go_on(run, description, stack)
    elif first:
        run = run._replace(folder=directory.claim(folder, config, name, stack))
        report.write_json(run.folder / "config.json", description)
    # Said last: options that are refused are one line.
    for line in (*task.notes, *(inherited.lines() if inherited else ())) if first else ():
        print(printable(line), file=sys.stderr)
    return run


def _go_on(
    run: session.Run, description: dict[str, Any], stack: contextlib.ExitStack
) -> session.Run:
    """The run as its newest whole checkpoint has it; what it changes on purpose is recorded.

    Raises:
      ValueError: it cannot go on with these options or data.
      SystemExit: nothing is left to do.
    """
    if hosts.is_first():
        stack.enter_context(directory.lock(run.folder))
    old = directory.read_description(run.folder)
    changed = directory.changes(old, description, run.config)
    run, skipped = _newest(run)
    for line in skipped if hosts.is_first() else ():
        print(f"passed over: {line}", file=sys.stderr)
    if run.step > run.config.steps:
        raise ValueError(
            f"steps is {run.config.steps}: the run in {run.folder} has {run.step} already; give "
            "more"
        )
    if run.step == run.config.steps and directory.is_finished(run.folder, run.step):
        print(
            f"nothing is left to do: the run in {run.folder} has its {run.step} steps; give more "
            "--steps to go on",
            file=sys.stderr,
        )
        if hosts.is_first() and directory.lacks_page(run.folder):  # as after a full disk
            print(f"report: {report.write_report(run.folder)}", file=sys.stderr)
        # Exit code 0 is success: a requeued job with --resume auto must not be started over and
        # over.
        raise SystemExit(0)
    # The change is recorded after the checkpoint was restored: a resume that fails changes nothing.
    if hosts.is_first():
        # Written at every start: the next resume finds the options as they are now.
        new = directory.gone_on(old, description, run.step, changed)
        report.write_json(run.folder / "config.json", new)
    return run


def finish(run: session.Run) -> None:
    """Trains, measures, reports: result.json and the page.

    Raises:
      NonFiniteError: a metric is not finite, and --on-nonfinite is stop or of no help.
      CorruptionError: --verify-every found two results of one computation.
      SystemExit: with code 128 + n, signal n ended the run.

    >>> lifecycle.finish(ready)
    >>> (killed / "result.json").exists(), (killed / "report.html").exists()
    (True, True)
    """
    try:
        state, result = _train(run)
    except (session.NonFiniteError, verify.CorruptionError) as error:
        if hosts.is_first():
            # The page of a failed run says why, too; the error itself goes on to the caller.
            report.write_json(run.folder / "result.json", {"stopped_by": str(error)})
            report.write_report(run.folder)
        raise
    if hosts.is_first():
        _conclude(run, state, result)
    # The others stay until the first has measured and written: JAX's barrier at exit gives up after
    # `hosts.HEARTBEAT` seconds.
    hosts.wait_for_all("concluded")
    if result["stopped_by"]:
        raise SystemExit(128 + signal.Signals[result["stopped_by"]])


def _conclude(run: session.Run, state: Any, result: dict[str, Any]) -> None:
    """Measures the samples' quality and writes result.json and the page."""
    config = run.config
    stopped = result["stopped_by"]
    # A signal asks for a quick end: measuring may take longer than its sender waits before killing.
    if config.quality and not stopped:
        try:
            if run.sweep:
                sweep_session.add_quality(run.sweep, state, result)
            else:
                result["quality"] = evaluate.quality(run.task, run.algorithm, state)
                evaluate.save_rows(run.task, run.algorithm, state, run.folder / "samples.csv")
        except (ValueError, OSError, MemoryError, RuntimeError) as error:
            # The run is done: a metric that cannot be measured must not cost it its result.
            result["quality_not_measured"] = one_line(error)
            print(f"quality was not measured: {result['quality_not_measured']}", file=sys.stderr)
    if run.sweep:
        result["best_first"] = sweep_session.best_first(run.sweep, result)
    report.write_json(run.folder / "result.json", result)
    page = report.write_report(run.folder)
    # stdout has one line of JSON or nothing, so this goes to stderr.
    if run.sweep:
        console.print_ranking(result["best_first"])
    else:
        _print_metrics(result)
    print(f"report: {page}", file=sys.stderr)
    if stopped:
        print(
            f"stopped by {stopped} at step {result['steps']}, which is saved: go on with "
            f"--run-dir {run.folder} --resume",
            file=sys.stderr,
        )
    if config.json:
        output.show(json.dumps(result))


def _print_metrics(result: dict[str, Any]) -> None:
    """The result's metrics, a line each, under the names that result.json and the page have."""
    if result["wasserstein_estimate"] is not None:
        print(f"wasserstein_estimate: {result['wasserstein_estimate']:.4g}", file=sys.stderr)
    for metric, value in result.get("quality", {}).items():
        print(f"{metric}: {value}", file=sys.stderr)
    for line in result.get("not_measured", []):
        print(line, file=sys.stderr)


def is_expected(error: Exception) -> bool:
    """Whether an error is about the machine, the data or the numbers, and no defect of ours.

    >>> lifecycle.is_expected(OSError("no space left")), lifecycle.is_expected(TypeError())
    (True, False)
    """
    kinds = (
        *(session.NonFiniteError, verify.CorruptionError, checkpoint.CheckpointError),
        *(data.DataError, sources.BatchError, OSError),
    )
    return isinstance(error, kinds)


# What JAX reports of a device without room: its own allocator, the driver when it looks for the
# device, and cuDNN and cuBLAS, which want memory beside JAX's. Another process of JAX has 75 %.
NO_ROOM = (
    *("RESOURCE_EXHAUSTED", "CUDA_ERROR_OUT_OF_MEMORY", "DNN library initialization failed"),
    *("CUDNN_STATUS_ALLOC_FAILED", "CUBLAS_STATUS_ALLOC_FAILED"),
)


def is_out_of_memory(error: Exception) -> bool:
    """Whether an array did not fit, on the host or on a device.

    >>> lifecycle.is_out_of_memory(RuntimeError("RESOURCE_EXHAUSTED: 8 GB"))
    True
    >>> lifecycle.is_out_of_memory(RuntimeError("a defect"))
    False
    """
    of_a_device = isinstance(error, RuntimeError) and any(word in str(error) for word in NO_ROOM)
    return isinstance(error, MemoryError) or of_a_device


def what_is_there(run: session.Run) -> str:
    """The end of a failed run's message: what was saved, and how to go on.

    >>> lifecycle.what_is_there(ready)
    'what was saved is in ...'
    >>> lifecycle.what_is_there(ready._replace(folder=pathlib.Path("nowhere")))
    'nothing of the run is in nowhere'
    """
    if not (run.folder / "config.json").exists():
        return f"nothing of the run is in {run.folder}"
    if checkpoint.steps(run.folder / "checkpoints"):
        return f"what was saved is in {run.folder}"
    return f"no checkpoint was saved yet; --run-dir {run.folder} --resume begins again"


def _init(run: session.Run) -> Any:
    """The state before the first step, a function of the seed; traced."""
    key = run.sweep.keys if run.sweep else jax.random.key(run.config.seed)
    return run.algorithm.init(key, run.source.batch)


def _first_state(run: session.Run) -> Any:
    """The state before the first step."""
    if run.sweep:  # keys are an argument: XLA would take minutes to draw so much at compile time
        return jax.jit(lambda keys: run.algorithm.init(keys, run.source.batch))(run.sweep.keys)
    state = jax.jit(lambda: _init(run))()
    if run.config.init_from:
        state = inherit.from_run(run.config.init_from, state).applied(state)
    return hosts.placed(state, run.mesh)


def _newest(
    run: session.Run, wanted: Callable[[dict[str, Any]], bool] = lambda extra: True
) -> tuple[session.Run, tuple[str, ...]]:
    """The run as its newest whole checkpoint has it, or as it began, and what was passed over.

    Args:
      run: what is restored.
      wanted: `extra -> bool`; checkpoints of which it is false are as if they were not there.

    Raises:
      CheckpointError: there are checkpoints, and none of them is whole or fits.
    """
    folder = run.folder / "checkpoints"
    there, seals = checkpoint.steps(folder), checkpoint.extras(folder)
    # Seals that cannot be read count: that all checkpoints are damaged must be said.
    if not there or (len(there) == len(seals) and not any(map(wanted, seals.values()))):
        return run._replace(state=_first_state(run), step=0, extra={}), ()
    # The target is shapes alone: no state is computed that the checkpoint replaces.
    found = checkpoint.restore(folder, jax.eval_shape(lambda: _init(run)), wanted=wanted)
    for line in found.grown if hosts.is_first() else ():
        print(line, file=sys.stderr)
    place = sweep_build.placed if run.sweep else hosts.placed
    state = place(found.state, run.sweep.mesh if run.sweep else run.mesh)
    return run._replace(state=state, step=found.step, extra=found.extra), found.skipped


def _step_of(state: Any) -> int:
    """The step counter, which several runs have in common."""
    return int(np.ravel(np.asarray(state.step))[0])


def _only_first(make: Callable[[], Any]) -> Any:
    """The context manager, in the process that writes."""
    return make() if hosts.is_first() else contextlib.nullcontext()


def _make_sample_metrics(run: session.Run) -> Callable:
    """`state -> {metric: value}`; what it needs of the data is computed at its first call."""

    @functools.cache
    def make() -> Callable:
        if run.sweep:
            return sweep_session.make_sample_metrics(run.sweep)
        return evaluate.make_sample_metrics(run.task, run.algorithm)

    # A restart would wait for it before its first step, and may not come to an evaluation at all.
    return lambda state: make()(state)


def _with_w1_probe(run: session.Run) -> session.Run:
    """The run with the probe that --w1-every asks for."""
    if not run.config.w1_every or not hosts.is_first():
        return run
    return run._replace(w1_probe=exact_w1.make(run.task, run.algorithm))


def _last_w1(run: session.Run, callbacks: session.Session) -> dict[str, Any]:
    """The last exact W1, what it is, and the time all of them took; {} without --w1-every."""
    if not callbacks.last_w1:
        return {}
    seconds = round(callbacks.w1_seconds, 3)
    what = run.w1_probe.description
    return {"transport": {**callbacks.last_w1, "seconds": seconds, "what": what}}


def _writer(run: session.Run, labels: list[str]) -> report.Writer:
    """What metrics and pictures of a run are written by."""
    widths = session.row_widths(run.config, len(labels) or 1)
    shown = tracking.make(run.config, run.folder, run.step)
    return report.Writer(run.folder, run.step, trials=labels, trackers=shown, **widths)


def _train_once(
    run: session.Run, journal: session.Journal, metrics_of: Callable, clock: starts.Clock
) -> tuple[Any, session.Session]:
    """Trains until the last step, a signal, the time limit or a non-finite metric."""
    config, labels = run.config, []
    kind: type[session.Session] = session.Session
    if run.sweep:
        kind, labels = sweep_session.SweepSession, [one.label for one in run.sweep.trials]
    with (
        # Signals come outermost: one that arrives while the last checkpoint is written must not
        # interrupt it.
        console.stop_signals() as caught,
        checkpoint.Checkpoints(
            run.folder / "checkpoints",
            config.keep,
            session.score_of,
            session.is_timed,
        ) as checkpoints,
        _only_first(lambda: _writer(run, labels)) as writer,
        _only_first(lambda: console.progress_bar(run.name, config.steps, run.step)) as show,
    ):
        callbacks = kind(run, journal, metrics_of, writer, checkpoints, clock)
        callbacks.caught, callbacks.show = caught, show or callbacks.show
        state = loop.train(
            run.algorithm,
            run.state,
            run.source,
            steps=config.steps,
            chunk_steps=config.chunk_steps,
            record=callbacks.record,
            due=callbacks.due,
            observe=callbacks.observe,
            stop=callbacks.stop,
            rescue=lambda step, state: callbacks.save(step, callbacks.local(state)),
            mesh=run.mesh,
        )
        callbacks.finish(_step_of(state), state)
    return state, callbacks


def _retry(
    run: session.Run, non_finite: session.NonFinite, retries: list[dict[str, Any]]
) -> tuple[session.Run, session.Journal]:
    """Back to the last finite checkpoint: on with another key, or the end with an explanation."""
    hosts.wait_for_all("saved")  # before the others read what the first one writes
    # The checkpoint is needed in any case: the run goes on from there, or is repeated from there up
    # to the bad step.
    stops = run.config.on_nonfinite == "stop"
    # The clock must not decide from where a run goes on with another key.
    run, _ = _newest(run, wanted=lambda extra: stops or not session.is_timed(extra))
    # After so many keys the settings are to blame, and not the noise.
    if stops or len(retries) >= MAX_RETRIES:
        _keep_for_inspection(run, non_finite)
        raise session.NonFiniteError(
            f"{non_finite}; the state before that step is in {run.folder / 'nonfinite'}; "
            f"{_advice(run, len(retries))}"
        )
    journal = session.Journal.from_extra(run.extra)
    # The list is the process's and not the checkpoint's, which was saved before this retry.
    journal.retries = [*retries, {"trouble": str(non_finite), "restored_step": run.step}]
    print(f"warning: {non_finite}; back to step {run.step} with another key", file=sys.stderr)
    return run._replace(state=loop.with_fresh_key(run.state, len(retries))), journal


def _advice(run: session.Run, retries: int) -> str:
    """What to do about a run whose metrics are not finite, as far as it can help this run."""
    # Members have one rate or two, under their own names.
    rates = [f.name for f in dataclasses.fields(run.config) if f.name.endswith("learning_rate")]
    option = "".join(f" --allow {name} --{name.replace('_', '-')} RATE" for name in rates[:1])
    lower = "lower the learning rate"
    if not checkpoint.steps(run.folder / "checkpoints"):
        return f"no checkpoint was saved before it: {lower} and start anew"
    from_there = f"go on from step {run.step}, the last finite checkpoint, with --resume"
    if retries:
        return f"another key did not help {retries} times: {lower}: {from_there}{option}"
    return f"{lower}: {from_there}{option}; or {from_there} --on-nonfinite restore"


def _keep_for_inspection(run: session.Run, non_finite: session.NonFinite) -> None:
    """Repeats the run up to the bad step and saves the state before it, which is still finite."""
    # The same steps give the same bits, so the state before the bad one need not be kept while the
    # run trains.
    state = loop.train(
        run.algorithm,
        run.state,
        run.source,
        steps=non_finite.step,
        chunk_steps=run.config.chunk_steps,
        mesh=run.mesh,
    )
    with checkpoint.Checkpoints(run.folder / "nonfinite", keep=1) as checkpoints:
        checkpoints.save(
            non_finite.step, hosts.local(state, run.mesh), {"trouble": str(non_finite)}
        )


def _train(run: session.Run) -> tuple[Any, dict[str, Any]]:
    """Trains and writes everything; returns the final state and the run's result.

    Raises:
      NonFiniteError: a metric is not finite, and --on-nonfinite is stop or of no help.
    """
    clock, journal = starts.Clock(run.folder, run.step), session.Journal.from_extra(run.extra)
    # A new run: its first state is made after config.json is written, so a failure here leaves a
    # run that can be resumed.
    if run.state is None:
        run = run._replace(state=_first_state(run))
    metrics_of, run = _make_sample_metrics(run), _with_w1_probe(run)
    state, callbacks = _train_once(run, journal, metrics_of, clock)
    while callbacks.non_finite:
        run, journal = _retry(run, callbacks.non_finite, journal.retries)
        state, callbacks = _train_once(run, journal, metrics_of, clock)
    step, state = _step_of(state), hosts.local(state, run.mesh)
    if hosts.is_first():
        clock.note(step)
    # These seconds include compilation, pictures and checkpoints; `experiments.speed` times steps
    # alone.
    totals = clock.totals(step)
    missing = [*evaluate.not_measured(run.task), *callbacks.not_measured.values()]
    return state, {
        "run_dir": str(run.folder),
        "steps": step,
        "seconds": totals["seconds"],
        "cpu_seconds": totals["cpu_seconds"],
        "seconds_to_first_picture": round(callbacks.first_picture or 0.0, 2),
        "seconds_saving": round(callbacks.save_seconds, 3),
        **callbacks.verified(),
        "steps_per_second": totals["steps_per_second"],
        "wasserstein_estimate": callbacks.journal.estimate,
        # Of a sweep each trial has its own, see `SweepSession.more`.
        **({} if run.sweep else {"evaluation": callbacks.last_metrics}),
        "state_sha256": checkpoint.state_sha256(state),
        "stopped_by": signal.Signals(callbacks.caught[0]).name if callbacks.caught else None,
        "best": journal.best,
        "retries": journal.retries,
        "warnings": list(journal.warnings.values()),
        **callbacks.more(),
        **({"not_measured": missing} if missing else {}),
        **_last_w1(run, callbacks),
    }
