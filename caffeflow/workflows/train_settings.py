"""What a user can ask of a training, and what the record of an earlier run decides on --resume."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Literal

from caffeflow.augmentation import Augmentation
from caffeflow.engine.schedule import Schedule
from caffeflow.errors import NetError, UsageError
from caffeflow.proto.caffe_pb2 import SolverParameter
from caffeflow.proto.text import read_solver
from caffeflow.weights.listed import split_files
from caffeflow.workflows.run_folder import read_record, runs_of

Engine = Literal["torch", "caffe"]

_MODELS: Final = Path("models")
_RECORDED: Final = (
    "engine", "caffe", "weights", "snapshot", "device", "gpu", "precision", "iterations", "level", "stages",
    "augmentation", "lr_policy", "warmup", "label_smoothing", "recipe",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class TrainSettings:
    """A training as asked for; None where the solver decides, or on --resume the run's record.

    Attributes:
        solver: The solver file.
        engine: What trains.
        caffe: The real caffe's program, for that engine.
        weights: Caffemodels to begin from.
        snapshot: A solverstate to go on from, by Caffe's rule.
        resume: Go on with the newest unfinished run as if it had never stopped.
        out_dir: The run folder; None: the next number under runs/.
        device: `cpu`, `cuda` or `auto`.
        gpu: Numbers as Caffe's `-gpu` takes them.
        precision: `fp32` or `bf16`.
        iterations: In place of the solver's max_iter.
        seed: In place of the solver's random_seed.
        level: For the include and exclude rules of the train net.
        stages: Likewise.
        recipe: A recipe whose options hold where nothing else is given: its name or its file.
        augmentation: How training pictures are changed at random.
        lr_policy: In place of the solver's; `solver` says that its own holds.
        warmup: Iterations until the rate is the policy's.
        label_smoothing: Share of each label that goes to all classes.
        command: What was typed, for the record.
    """

    solver: Path
    engine: Engine | None = None
    caffe: Path | None = None
    weights: tuple[str, ...] | None = None
    snapshot: str | None = None
    resume: bool = False
    out_dir: Path | None = None
    device: str | None = None
    gpu: str | None = None
    precision: Literal["fp32", "bf16"] | None = None
    iterations: int | None = None
    seed: int | None = None
    level: int | None = None
    stages: tuple[str, ...] | None = None
    recipe: str | None = None
    augmentation: Augmentation | None = None
    lr_policy: Literal["cosine", "solver"] | None = None
    warmup: int | None = None
    label_smoothing: float | None = None
    command: tuple[str, ...] = ()

    def check(self) -> None:
        """Looks for options that contradict each other.

        Raises:
            UsageError: There are such.
        """
        if self.weights and self.snapshot:
            raise UsageError(
                "--weights and --snapshot were given: a snapshot brings its weights with it; give one of them"
            )
        if self.resume and (self.weights or self.snapshot):
            other = "--weights" if self.weights else "--snapshot"
            raise UsageError(f"--resume goes on with what its run had, so it takes no {other}")
        if self.label_smoothing is not None and not 0 <= self.label_smoothing < 1:
            raise UsageError(f"--label-smoothing is {self.label_smoothing:g}; expected from 0 to below 1")
        if self.warmup is not None and self.warmup < 0:
            raise UsageError(f"--warmup is {self.warmup}; expected a number of iterations")
        if self.resume and self.recipe:
            raise UsageError("--resume goes on with the options that its run had, so it takes no --recipe")

    def check_engine(self) -> None:
        """Looks for options that the engine does not have; after the record of an earlier run was added.

        Raises:
            UsageError: There are such.
        """
        if self.engine != "caffe":
            if self.caffe is not None:
                raise UsageError("--caffe names the program of --engine caffe; give that too")
            return
        if self.precision == "bf16":
            raise UsageError("the real caffe computes in fp32 only; --precision bf16 needs --engine torch")
        self._check_for_caffe()
        if self.augmentation is not None:
            options = self.augmentation.options
            raise UsageError(
                f"{options}: Caffe's transformer has no words for this, so it needs --engine torch; for the"
                " real caffe write changed copies into the dataset: caffeflow prepare …"
                f" {options} --augment-copies N"
            )
        if self.level is not None or self.stages is not None:
            raise UsageError(
                "--level and --stage are for --engine torch; for the real caffe write train_state { … } into"
                " the solver"
            )

    @property
    def schedule(self) -> Schedule:
        """How the rate goes where the solver cannot say it."""
        return Schedule(
            policy=None if self.lr_policy == "solver" else self.lr_policy, warmup=self.warmup or 0
        )

    def _check_for_caffe(self) -> None:
        """Looks for what the real caffe's files have no words for."""
        if self.recipe is not None:
            raise UsageError(
                f"--recipe {self.recipe}: Caffe has no words for what it says beside the solver, so it needs"
                " --engine torch; leave it out: what render --recipe wrote into the solver holds for the real"
                " caffe too"
            )
        if self.schedule.policy is not None:
            raise UsageError(
                "--lr-policy cosine: Caffe's solvers have no such policy, so it needs --engine torch; for the"
                " real caffe let the solver say multistep, or poly with power 1 for a straight line"
            )
        if self.warmup:
            raise UsageError(
                f"--warmup {self.warmup}: Caffe's solvers know none, so it needs --engine torch; for the real"
                f" caffe train {self.warmup} iterations with a solver of a smaller base_lr first, and go on"
                " with --snapshot"
            )
        if self.label_smoothing:
            raise UsageError(
                f"--label-smoothing {self.label_smoothing:g}: Caffe's SoftmaxWithLoss takes whole labels,"
                " so it needs --engine torch; leave it out for the real caffe"
            )

    def as_record(self) -> dict[str, Any]:
        """Returns what a resumed run needs to know, as plain values."""
        record = {name: getattr(self, name) for name in _RECORDED}
        augmentation = None if self.augmentation is None else self.augmentation.as_record()
        caffe = None if self.caffe is None else str(self.caffe)
        return record | {"caffe": caffe, "augmentation": augmentation}

    def completed_by(self, record: Mapping[str, Any]) -> TrainSettings:
        """Returns the settings with what was not given taken from the record of an earlier run."""
        earlier = dict(record["settings"])
        for name in ("weights", "stages"):
            if earlier.get(name) is not None:
                earlier[name] = tuple(earlier[name])
        if earlier.get("caffe") is not None:
            earlier["caffe"] = Path(earlier["caffe"])
        if earlier.get("augmentation") is not None:
            earlier["augmentation"] = Augmentation.from_record(earlier["augmentation"])
        missing = {
            name: earlier[name] for name in _RECORDED if name in earlier and getattr(self, name) is None
        }
        if self.device or self.gpu:  # these two are one choice
            missing.pop("device", None)
            missing.pop("gpu", None)
        return replace(self, **missing, seed=record["seed"] if self.seed is None else self.seed)

    def weights_for(self, parameters: SolverParameter) -> list[str]:
        """Returns the caffemodels to load: those given, else the solver's own unless a snapshot is."""
        if self.snapshot:
            return []
        return split_files(self.weights or tuple(parameters.weights))


@dataclass(frozen=True, kw_only=True)
class TrainReport:
    """What a training left behind.

    Attributes:
        run_dir: The run folder.
        iterations: Updates done.
        is_complete: Whether that is all of them; False after a stop.
        weights: The newest snapshot's caffemodel, if there is one.
        results: Scores by name: the last and the best.
    """

    run_dir: Path
    iterations: int
    is_complete: bool
    weights: Path | None
    results: Mapping[str, Any]


def find_solver_to_resume(run_dir: Path | None = None) -> Path:
    """Returns the solver of the run that goes on: the one that is named, or the newest unfinished one.

    Raises:
        DataError: What is named is no run folder.
        UsageError: There is no such run, and not one solver alone under models/ either.
    """
    if run_dir is not None:
        return Path(read_record(run_dir)["solver"])
    for _, record in runs_of(None):
        if record["state"] != "finished" and Path(record["solver"]).exists():
            return Path(record["solver"])
    return find_solver()


def find_solver(*, models: Path = _MODELS) -> Path:
    """Returns the only solver under models/.

    Raises:
        UsageError: There is none, or there are several.
    """
    found = [path for path in sorted(models.glob("*/solver*.prototxt")) if _trains(path)]
    if len(found) == 1:
        return found[0]
    if not found:
        raise UsageError(
            f"there is no solver under {models}/; render a net first, such as: caffeflow render lenet"
            " (or give a solver of your own with --solver FILE)"
        )
    choices = "".join(f"\n  caffeflow train --solver {path}" for path in found)
    raise UsageError(f"there are {len(found)} solvers under {models}/; say which one:{choices}")


def _trains(path: Path) -> bool:
    """Whether a solver is for training: one whose max_iter is 0 only tests; faults show when it is used."""
    try:
        solver = read_solver(path)
    except NetError:
        return True
    return not solver.HasField("max_iter") or solver.max_iter > 0
