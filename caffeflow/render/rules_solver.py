"""Rules for the variables of the group `solver`: lengths, schedules and tests."""

from __future__ import annotations

from math import ceil
from typing import Any, Final

from caffeflow.errors import TemplateError
from caffeflow.render.resolve import Resolution
from caffeflow.render.variables import AUTO

# What each policy reads.
_POLICY_FIELDS: Final = {
    "fixed": (),
    "step": ("gamma", "stepsize"),
    "exp": ("gamma",),
    "inv": ("gamma", "power"),
    "multistep": ("gamma", "stepvalue"),
    "poly": ("power",),
    "sigmoid": ("gamma", "stepsize"),
}
# Customary values, as in BVLC's examples, for a policy that the recipe does not use.
_POLICY_DEFAULTS: Final = {
    "step": {"gamma": 0.1},
    "inv": {"gamma": 0.0001, "power": 0.75},
    "multistep": {"gamma": 0.1},
    "poly": {"power": 1.0},
}
_SCHEDULE: Final = ("gamma", "power", "stepsize", "stepvalue")
_WITHOUT_MOMENTUM: Final = ("AdaGrad", "RMSProp")


def complete_solver(resolution: Resolution) -> None:
    """Works out what the solver says.

    Raises:
        TemplateError: Values that exclude one another, or a policy that lacks one.
    """
    resolution.fill("solver.mode", "GPU" if resolution.places.has_gpu else "CPU", "this machine")
    prefix = resolution.places.out_dir / "snapshots" / resolution.net.name
    resolution.fill("solver.snapshot_prefix", resolution.places.written(prefix), "the output folder")
    _decide_iter_size(resolution)
    _decide_length(resolution)
    _decide_schedule(resolution)
    _decide_tests(resolution)
    _check_momentum(resolution)


def _decide_iter_size(resolution: Resolution) -> None:
    """Takes a batch size that was given as the whole batch: the recipe's iter_size belongs to its own."""
    name = "solver.iter_size"
    if "data.batch_size" in resolution.given and name not in resolution.given and resolution[name] > 1:
        resolution.put(name, 1, "data.batch_size is given")


def _decide_length(resolution: Resolution) -> None:
    given = resolution.given & {"solver.max_iter", "solver.epochs"}
    if len(given) == 2:
        raise TemplateError("solver.max_iter and solver.epochs are both given; give one")
    images = resolution["data.batch_size"] * resolution["solver.iter_size"]
    count = max(resolution.dataset.train_count, 1)
    by_epochs = "solver.epochs" in given or resolution["solver.max_iter"] == AUTO
    if by_epochs:
        iterations = max(1, ceil(resolution["solver.epochs"] * count / images))
        resolution.put("solver.max_iter", iterations, f"{resolution['solver.epochs']:g} epochs")
        return
    epochs = resolution["solver.max_iter"] * images / count
    resolution.put("solver.epochs", epochs, "max_iter")
    usual = resolution["solver.max_iter"] * images / resolution.net.dataset.train
    if not given and epochs > 3 * usual:
        resolution.notes.append(
            f"the recipe's {resolution['solver.max_iter']} iterations are {epochs:.0f} epochs of"
            f" '{resolution.dataset.name}' ({usual:.0f} of {resolution.net.dataset.name}); --epochs or"
            " --max-iter shortens them"
        )


def _decide_schedule(resolution: Resolution) -> None:
    policy = resolution["solver.lr_policy"]
    if policy != _recipe_value(resolution, "solver.lr_policy"):
        for field in _SCHEDULE:
            if f"solver.{field}" not in resolution.given:
                resolution.put(f"solver.{field}", AUTO, "")
    else:
        _place_steps(resolution)
    _scale_steps(resolution)
    iterations = resolution["solver.max_iter"]
    customary: dict[str, Any] = dict(_POLICY_DEFAULTS.get(policy, {}))
    customary["stepsize"] = max(1, iterations // 3)
    customary["stepvalue"] = (max(1, iterations // 2), max(2, iterations * 3 // 4))
    for field in _POLICY_FIELDS[policy]:
        if field in customary:
            resolution.fill(f"solver.{field}", customary[field], f"customary for lr_policy {policy}")
        if resolution[f"solver.{field}"] == AUTO:
            raise TemplateError(f"lr_policy '{policy}' needs solver.{field}; give --set solver.{field}=…")
    unused = [
        f"solver.{field}"
        for field in _SCHEDULE
        if f"solver.{field}" in resolution.given and field not in _POLICY_FIELDS[policy]
    ]
    if unused:
        raise TemplateError(f"lr_policy '{policy}' does not read {' or '.join(unused)}; leave it out")


def _place_steps(resolution: Resolution) -> None:
    """Takes the steps of a recipe, which it tells in epochs of its own length, to these iterations."""
    recipe = resolution.net.applied
    if recipe is None or not recipe.step_epochs:
        return
    share = resolution["solver.max_iter"] / recipe.epochs
    steps = tuple(max(1, round(epoch * share)) for epoch in recipe.step_epochs)
    origin = f"recipe {recipe.name}: {', '.join(f'{epoch:g}' for epoch in recipe.step_epochs)} epochs"
    if resolution["solver.lr_policy"] == "multistep":
        resolution.fill("solver.stepvalue", steps, origin)
    elif resolution["solver.lr_policy"] == "step":
        resolution.fill("solver.stepsize", steps[0], origin)


def _recipe_value(resolution: Resolution, name: str) -> Any:
    """Returns what the recipe, or the solver type in its place, says of a variable."""
    if name not in resolution.given:
        return resolution[name]
    return next(variable.default for variable in resolution.net.variables if variable.name == name)


def _scale_steps(resolution: Resolution) -> None:
    """Moves the recipe's steps along when the training is made shorter or longer."""
    planned = next(each.default for each in resolution.net.variables if each.name == "solver.max_iter")
    iterations = resolution["solver.max_iter"]
    if planned in (AUTO, iterations):
        return
    for name in ("solver.stepsize", "solver.stepvalue"):
        value = resolution[name]
        if value == AUTO or name in resolution.given:
            continue
        scaled = [max(1, round(each * iterations / planned)) for each in _as_tuple(value)]
        moved = tuple(scaled) if isinstance(value, tuple) else scaled[0]
        resolution.put(name, moved, f"the recipe's {value}, scaled with max_iter")


def _as_tuple(value: Any) -> tuple[int, ...]:
    return value if isinstance(value, tuple) else (value,)


def _decide_tests(resolution: Resolution) -> None:
    count, batch = resolution.dataset.val_count, resolution["data.test_batch_size"]
    resolution.fill("solver.test_iter", max(1, ceil(count / batch)), f"{count} test images")
    name, iterations = "solver.test_interval", resolution["solver.max_iter"]
    if name not in resolution.given and resolution[name] > iterations:
        resolution.put(name, iterations, "max_iter")


def _check_momentum(resolution: Resolution) -> None:
    solver_type = resolution["solver.type"]
    if solver_type in _WITHOUT_MOMENTUM and resolution["solver.momentum"] != 0:
        raise TemplateError(f"Caffe's {solver_type} refuses momentum; leave --momentum out")
