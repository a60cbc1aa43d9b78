"""What an experiment is: options, how they become an algorithm, and where its data come from."""

import pathlib
import sys
import types
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from jwgan import check
from jwgan.run import general, tasks


class Experiment(NamedTuple):
    """A document's three parts, handed to `run.main` and to the commands that read its runs.

    Attributes:
      config: frozen dataclass of options, a subclass of `run.Config`.
      build: `(config, shape) -> jwgan.Algorithm`; `shape` is D, of one sample.
      doc: the document's docstring: --help shows it, its first line is the page's title.
      load: `(config) -> run.Task`; by default the image data set that --dataset names.
      name: of its runs; by default that of the file in which `config`, or else `build`, is defined.
      program: how it is started; by default as it was this time.
      paper: {option: value} of the paper's settings, which --paper asks for; or a function of the
        options given, where an experiment has several members.
      tuned: `(options given) -> {option: value}` of an experiment with several members: the
        settings of the one that the options name, for those that are not given.
      before: {option: value} that runs had before the option was there, where that is not its
        default; or a function of the options that the run has.
      takes_encoding: whether `build` takes the task's encoding as its third argument, as a table's
        output layer needs it.
    """

    config: type
    build: Callable[..., Any]
    doc: str | None
    load: Callable[[Any], tasks.Task] = tasks.from_config
    name: str = ""
    program: str = ""
    takes_encoding: bool = False
    paper: Mapping[str, Any] | Callable[[dict[str, Any]], Mapping[str, Any]] = (
        types.MappingProxyType({})
    )
    tuned: Callable[[dict[str, Any]], Mapping[str, Any]] = lambda given: {}
    before: Mapping[str, Any] | Callable[[dict[str, Any]], Mapping[str, Any]] = (
        types.MappingProxyType({})
    )

    def described(self, chosen: Any) -> dict[str, Any]:
        """The options of a run's description, with those that it is too old to have.

        Args:
          chosen: the "config" of its config.json.

        >>> mine._replace(before={"width": 8}).described({"steps": 2})
        {'width': 8, 'steps': 2}
        """
        if not isinstance(chosen, dict):
            return chosen
        return {**(self.before(chosen) if callable(self.before) else self.before), **chosen}

    def with_settings(self, given: dict[str, Any]) -> dict[str, Any]:
        """The options given; the member's settings, with --paper the paper's, for the others.

        Args:
          given: {option: value} of a command line.

        Raises:
          ValueError: --paper is given to an experiment without a paper's settings.

        >>> published = mine._replace(paper={"steps": 9, "batch_size": 8})
        >>> published.with_settings({"paper": True, "steps": 2})
        {'steps': 2, 'batch_size': 8, 'paper': True}
        >>> slow = mine._replace(tuned=lambda given: {"steps": 9} if "seed" in given else {})
        >>> slow.with_settings({"seed": 1}), slow.with_settings({"batch_size": 8})
        ({'steps': 9, 'seed': 1}, {'batch_size': 8})
        """
        if not given.get("paper"):
            return {**self.tuned(given), **given}
        settings = self.paper(given) if callable(self.paper) else self.paper
        remedy = "this experiment has no paper's settings; leave it out"
        check.require(bool(settings), "paper", True, remedy)
        return {**settings, **given}

    def build_for(self, task: tasks.Task) -> Callable[[Any, tuple[int, ...]], Any]:
        """`build` as `(config, shape) -> jwgan.Algorithm` for a task, with the general options."""
        if not self.takes_encoding:
            return general.built_with(self.build)
        return general.built_with(lambda config, shape: self.build(config, shape, task.encoding))

    def named(self) -> "Experiment":
        """The experiment with its name and program filled in.

        Raises:
          ValueError: it was defined in no file (in a notebook) and has no name.
        """
        # The file of the options' class, not of the caller: `main` may be called from anywhere.
        found, program = _origin(self.config, self.build)
        if not (self.name or found):
            raise ValueError(
                "name is '': this experiment was defined outside of any file; "
                "give Experiment(..., name='mine')"
            )
        return self._replace(name=self.name or found, program=self.program or program)


def _origin(config_type: type, build: Callable) -> tuple[str, str]:
    """(name, how to start it) of the experiment's file; empty outside of any file.

    That file is the one with the options; an experiment without options of its own has `build`.
    """
    ours = config_type.__module__.startswith("jwgan.")
    # `python mine.py` runs a module without __spec__, `python -m package.mine` one with it: only
    # the latter is started by its dotted name.
    module = sys.modules.get(build.__module__ if ours else config_type.__module__)
    spec, file = getattr(module, "__spec__", None), getattr(module, "__file__", None)
    if spec is not None:
        # A folder with a __main__.py is started by the folder's name.
        full = spec.name.removesuffix(".__main__")
        return full.rpartition(".")[2], f"python -m {full}"
    if file is not None:
        return pathlib.Path(file).stem, f"python {pathlib.Path(file).name}"
    return "", ""
