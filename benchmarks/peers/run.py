"""Let the other packages share the conversions of some journeys: runs in their environment, imports none of ours.

``python run.py JOURNEYS.parquet CPU_SECONDS ARM ...`` reads one row per journey that has touches: `path`, the channels
in the order of time, joined by `SEPARATOR`; `hours` from each touch to the end, joined the same way; `converted`. It
prints one JSON object per arm: its name, the credit by channel or the error, and the CPU seconds it took.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import signal
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

SEPARATOR = " > "


def main() -> None:
    path, limit, *arms = sys.argv[1:]
    warnings.simplefilter("ignore")
    data = importlib.import_module("pandas").read_parquet(path)
    signal.signal(signal.SIGPROF, _too_long)
    for arm in arms:
        signal.setitimer(signal.ITIMER_PROF, float(limit))
        began = time.process_time()
        try:
            # They talk; what we print must stay JSON.
            with contextlib.redirect_stdout(sys.stderr):
                answer: dict[str, Any] = {"credit": {str(k): float(v) for k, v in ARMS[arm](data).items()}}
        except Exception as error:  # whatever a peer dies of is its result
            answer = {"error": f"{type(error).__name__}: {error}"[:200] or "unknown"}
        signal.setitimer(signal.ITIMER_PROF, 0)
        print(json.dumps({"arm": arm, "seconds": round(time.process_time() - began, 2), **answer}), flush=True)


def _too_long(*_: object) -> None:
    raise TimeoutError(f"not done after {sys.argv[2]} CPU seconds")


def _counted(data: Any) -> Any:
    table = data.assign(null=1 - data["converted"]).groupby("path", sort=True)[["converted", "null"]].sum()
    return table.reset_index().rename(columns={"converted": "total_conversions", "null": "total_null"})


def _markov(order: int) -> Callable[[Any], dict[str, float]]:
    def run(data: Any) -> dict[str, float]:
        package = importlib.import_module("ChannelAttribution")
        found = package.markov_model(
            _counted(data), "path", "total_conversions", var_null="total_null", order=order, sep=">", seed=1,
            verbose=False, flg_pro=False,
        )  # fmt: skip
        return dict(zip(found["channel_name"], found["total_conversions"], strict=True))

    return run


def _heuristic(column: str) -> Callable[[Any], dict[str, float]]:
    def run(data: Any) -> dict[str, float]:
        package = importlib.import_module("ChannelAttribution")
        found = package.heuristic_models(_counted(data), "path", "total_conversions", sep=">", flg_pro=False)
        return dict(zip(found["channel_name"], found[column], strict=True))

    return run


def _mam(run_model: Callable[[Any], Any]) -> Callable[[Any], dict[str, float]]:
    def run(data: Any) -> dict[str, float]:
        package = importlib.import_module("mam")
        table = data.assign(journey_id=[f"j{row}" for row in range(len(data))], converted=data["converted"] > 0)
        model = package.MAM(
            table, format_type="journey", channels_colname="path", journey_with_conv_colname="converted",
            user_id_colname="journey_id", time_till_conv_colname="hours", path_separator=SEPARATOR,
        )  # fmt: skip
        found = run_model(model).to_dict()
        return dict(zip(found["channels"], found["attribution"], strict=True))

    return run


def _mta(name: str, run_model: Callable[[Any], Any]) -> Callable[[Any], dict[str, float]]:
    def run(data: Any) -> dict[str, float]:
        importlib.import_module("random").seed(1)
        package = importlib.import_module("mta")
        model = package.MTA(_counted(data), allow_loops=False, add_timepoints=name == "add_haz")
        run_model(model)
        return dict(model.attribution[name])

    return run


def _shapley(build: Callable[[Any], Any]) -> Callable[[Any], dict[str, float]]:
    def run(data: Any) -> dict[str, float]:
        package = importlib.import_module("shapley_attribution")
        journeys = [path.split(SEPARATOR) for path in data["path"]]
        return dict(build(package).fit(journeys, data["converted"].to_numpy()).get_attribution())

    return run


ARMS: dict[str, Callable[[Any], dict[str, float]]] = {
    "ChannelAttribution first": _heuristic("first_touch"),
    "ChannelAttribution last": _heuristic("last_touch"),
    "ChannelAttribution linear": _heuristic("linear_touch"),
    "ChannelAttribution markov_1": _markov(1),
    "ChannelAttribution markov_2": _markov(2),
    "ChannelAttribution markov_3": _markov(3),
    "MAM position": _mam(lambda model: model.run_position_based()),
    "MAM time_decay": _mam(lambda model: model.run_time_decay()),
    "MAM markov": _mam(lambda model: model.run_markov()),
    "MAM shapley": _mam(lambda model: model.run_shapley(max_size=4)),
    "mta markov": _mta("markov", lambda model: model.markov()),
    "mta shao": _mta("shao", lambda model: model.shao()),
    "mta shapley": _mta("shapley", lambda model: model.shapley()),
    "mta logistic": _mta("linreg", lambda model: model.logistic_regression(n_iterations=200)),
    "mta additive_hazard": _mta("add_haz", lambda model: model.additive_hazard()),
    "shapley-attribution simplified": _shapley(lambda package: package.SimplifiedShapleyAttribution()),
    "shapley-attribution ordered": _shapley(lambda package: package.OrderedShapleyAttribution()),
    "shapley-attribution monte_carlo": _shapley(
        lambda package: package.MonteCarloShapleyAttribution(n_iter=2000, random_state=1)
    ),
    "shapley-attribution path": _shapley(lambda package: package.PathShapleyAttribution(random_state=1)),
}
"""Models of the peers by name, with their defaults; of 2,000 resamples of one only 200, to save minutes."""

SLOW = ("mta logistic", "mta additive_hazard", "shapley-attribution ordered")
"""Those that take minutes for 50,000 journeys, or years."""

if __name__ == "__main__":
    main()
