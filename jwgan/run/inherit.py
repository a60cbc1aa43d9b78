"""`--init-from RUN`: a new run whose networks begin as those of a trained one.

Parameters and model state of both players are taken over, and the generator's average; optimizers,
key, step and the objective's state begin anew. Arrays are matched by their names. Of each player
one layer may have another size, as the last one has for another number of channels: it begins with
values of its own.
"""

import pathlib
import re
from typing import Any, NamedTuple

import jax
import numpy as np

from jwgan import checkpoint
from jwgan.run import directory

# A player's part in a state, also in one that a wrapper has around it.
_OF_A_PLAYER = re.compile(r"(?:\.inner)*\.(critic|generator)\.(params|model_state)(.*)")
# The averaged generator, which a state has on its outside -> what it is an average of.
_AVERAGES = {".average": "params", ".statistics": "model_state"}


class Inherited(NamedTuple):
    """What a new state takes over from a run's newest whole checkpoint."""

    run: str
    step: int
    state_sha256: str
    arrays: dict[str, np.ndarray]  # by their paths in the new state
    fresh: list[str]  # names of those that begin anew, with both shapes

    def described(self) -> dict[str, Any]:
        """As config.json records it."""
        return {
            "run": self.run,
            "step": self.step,
            "state_sha256": self.state_sha256,
            "taken": sorted(map(_name, self.arrays)),
            "new": self.fresh,
        }

    def lines(self) -> list[str]:
        """As the start of the run says it."""
        names = [_name(path) for path in self.arrays]
        taken = ", ".join(
            f"{sum(name.startswith(player) for name in names)} arrays of the {player}"
            for player in ("critic", "generator", "average")
            if any(name.startswith(player) for name in names)
        )
        first = f"init_from: {taken} from step {self.step} of {self.run}"
        return [first, *(f"init_from: {one} begins anew" for one in self.fresh)]

    def applied(self, state: Any) -> Any:
        """The state with what it takes over."""

        def one(path: Any, leaf: Any) -> Any:
            array = self.arrays.get(jax.tree_util.keystr(path))
            return leaf if array is None else jax.device_put(array, leaf.sharding)

        return jax.tree_util.tree_map_with_path(one, state)


def _part(path: str) -> tuple[str, str, str] | None:
    """("critic", "params", "['params']['Dense_0']['kernel']") of a leaf's path; None for others."""
    found = _OF_A_PLAYER.fullmatch(path)
    if found:
        return found[1], found[2], found[3]
    for prefix, part in _AVERAGES.items():
        if path.startswith(prefix):
            return "average", part, path.removeprefix(prefix)
    return None


def _name(path: str) -> str:
    """critic/params/Dense_0/kernel, for people."""
    player, _, rest = _part(path) or ("", "", path)
    return "/".join([player, *re.findall(r"[\w ]+", rest)])


def _layer(path: str) -> str:
    return _name(path).rpartition("/")[0]


def _source_of(path: str, saved: dict[tuple[str, str, str], str]) -> str | None:
    """The path in the old state of what belongs at a path of the new one."""
    part = _part(path)
    if part is None:
        return None
    # A run without an average gives its generator in its place.
    instead = ("generator", *part[1:]) if part[0] == "average" else part
    return saved.get(part, saved.get(instead))


def from_run(run_dir: str, target: Any) -> Inherited:
    """What a state like `target` takes over from a run.

    Args:
      run_dir: the trained run's directory.
      target: the new state, or its `jax.eval_shape`.

    Raises:
      ValueError: there is no such run, it is a sweep, or its networks are others.

    >>> found = inherit.from_run(str(finished), state)
    >>> found.step, found.described()["taken"]
    (2, ['critic', 'generator'])
    """
    folder = pathlib.Path(run_dir)
    described = directory.read_description(folder)
    if "trials" in described or "members" in described:
        raise ValueError(f"init_from is {run_dir}: that is a sweep; give the run of a single trial")
    if not checkpoint.steps(folder / "checkpoints"):
        raise ValueError(f"init_from is {run_dir}: it has no checkpoint yet; wait for the first")
    found = checkpoint.read(folder / "checkpoints")
    saved = {part: path for path in found.arrays if (part := _part(path))}
    leaves = jax.tree_util.tree_leaves_with_path(target)
    wanted = {jax.tree_util.keystr(path): leaf for path, leaf in leaves}
    wanted = {path: leaf for path, leaf in wanted.items() if _part(path)}
    _require_same_layers(run_dir, wanted, saved)
    taken, fresh = {}, []
    for path, leaf in wanted.items():
        array = found.arrays[source] if (source := _source_of(path, saved)) else None
        if array is not None and (array.shape, array.dtype) == (leaf.shape, leaf.dtype):
            taken[path] = array
        elif not _is_key(leaf):
            was = "nothing" if array is None else list(array.shape)
            fresh.append(f"{_name(path)} ({was} there, {list(leaf.shape)} here)")
    _require_one_layer(run_dir, [path for path in wanted if path not in taken])
    return Inherited(run_dir, found.step, found.state_sha256, taken, fresh)


def _is_key(leaf: Any) -> bool:
    return jax.numpy.issubdtype(leaf.dtype, jax.dtypes.prng_key)


REMEDY = "give the networks of that run (--network, --width, --latent), or train anew"


def _require_same_layers(
    run_dir: str, wanted: dict[str, Any], saved: dict[tuple[str, str, str], str]
) -> None:
    """Raises ValueError if the two runs' players have layers of other names."""
    here = {part for path in wanted if (part := _part(path)) and part[:2] in _PLAYERS}
    there = {part for part in saved if part[:2] in _PLAYERS}
    for player in ("critic", "generator"):
        more = sorted(part[2] for part in here ^ there if part[0] == player)
        if more:
            where = "not there" if (player, "params", more[0]) in here else "not here"
            name = "/".join(re.findall(r"[\w ]+", more[0]))
            raise ValueError(
                f"init_from is {run_dir}: its {player} has other layers ({name} is {where}); "
                f"{REMEDY}"
            )


_PLAYERS = (("critic", "params"), ("generator", "params"))


def _require_one_layer(run_dir: str, other: list[str]) -> None:
    """Raises ValueError if more than one layer of a player has another size."""
    for player in ("critic", "generator"):
        is_one = lambda path: (_part(path) or ("", ""))[:2] == (player, "params")
        layers = list(dict.fromkeys(_layer(path) for path in other if is_one(path)))
        if len(layers) > 1:
            names = ", ".join(layers[:3]) + (", ..." if len(layers) > 3 else "")
            raise ValueError(
                f"init_from is {run_dir}: {len(layers)} layers of its {player} have another size "
                f"({names}), and one may; {REMEDY}"
            )
