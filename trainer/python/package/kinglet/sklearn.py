"""Estimators for scikit-learn: the rows of X are a series, in order of time.

A prediction depends on the rows before it, which is what a recurrent network is for. So `predict` answers a series from its first
row on, and other rows before a row may give it another answer; of scikit-learn's own checks those that ask for the contrary cannot
hold, and `expected_failed_checks` names them.
"""

import re
import warnings
from typing import Any, Dict, Sequence, Union

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from ._kinglet import Error, Model
from ._training import train

#: What a predictor of series cannot hold, and why: for `sklearn.utils.estimator_checks.check_estimator(…, expected_failed_checks=…)`.
expected_failed_checks: Dict[str, str] = {
    "check_methods_subset_invariance": "an answer depends on the rows before it",
    "check_methods_sample_order_invariance": "the rows are a series, in order of time",
}


#: What the trainer advises, and what that is here.
_ADVICE = {
    '; remove it from the features, or set normalise = "none" for it': "; leave it out of X",
    "look at its labels and at the split": "the first rows, all but the share `valid`, have none of it",
    "; a split by groups or by turns may spread it": "; another `valid` may have it",
    ": predict another column, or choose a split in which it varies": ": y must vary in the first rows, all but the share `valid`",
    ", or a model to go on from (--from)": "",
    "the table, as CSV: ": "",
}


def _told(text, names):
    """A message of the trainer with the names and arguments that its reader gave. names: what x0, y0, c0, … are."""
    text = re.sub(r"^task\.toml(:\d+)*: ", "", text)
    for ours, here in _ADVICE.items():
        text = text.replace(ours, here)
    text = re.sub(r"take them as the column diff\(\w+\), which is computed in 64 bits, or write the column less", "subtract", text)
    text = re.sub(r"predict its change as the target diff\(\w+\), which is computed in 64 bits, or write the column less", "subtract", text)
    text = re.sub(r"\btrain\.(\w+)", r"\1", text)
    return re.sub(r'(?:column )?"([xy]\d+|c\d+)"', lambda found: names.get(found[1], found[0]), text)


class _Series(BaseEstimator):
    """What both have: the network, and how it is trained."""

    def __init__(
        self,
        cell: str = "gru",
        hidden: Union[int, Sequence[int]] = (16,),
        *,
        window: int = 32,
        precision: str = "f32",
        epochs: int = 60,
        learning_rate: float = 0.02,
        batch: int = 8,
        valid: float = 0.2,
        random_state: Any = 0,
        progress: bool = False,
    ) -> None:
        self.cell = cell
        self.hidden = hidden
        self.window = window
        self.precision = precision
        self.epochs = epochs
        self.learning_rate = learning_rate
        self.batch = batch
        self.valid = valid
        self.random_state = random_state
        self.progress = progress

    def _train(self, X, outputs, targets, names):
        """The model of columns `x0`, … to what `targets` says about the others. names: what these are called in messages."""
        try:
            import pyarrow
        except ImportError as error:
            raise ImportError("the estimators pass their rows through pyarrow: pip install pyarrow") from error
        inputs = [f"x{k}" for k in range(X.shape[1])]
        given = getattr(self, "feature_names_in_", None)
        called = [f"column {k} of X" for k in range(len(inputs))] if given is None else [f'column "{name}" of X' for name in given]
        names = {**names, **dict(zip(inputs, called))}
        table = pyarrow.table({**dict(zip(inputs, X.T)), **outputs})
        hidden = [int(self.hidden)] if np.isscalar(self.hidden) else [int(units) for units in self.hidden]
        # The rows after the training part decide which epoch is kept.
        if not 0 <= self.valid < 1:
            raise ValueError(f"valid={self.valid!r}: a share of the rows is expected, from 0 to less than 1")
        valid = min(max(1, round(self.valid * len(X))), len(X) - 1)
        window = max(1, min(self.window, len(X) - valid, valid))
        seed = self.random_state
        if not isinstance(seed, (int, np.integer)):
            seed = np.random.RandomState(seed).randint(2**31) if seed is None else seed.randint(2**31)
        task = {
            "name": type(self).__name__,
            "series": {"features": inputs, "split": {"rows": [len(X) - valid, valid, 0]}, **targets},
            "shape": {"kind": "many-to-many", "window": window, "horizon": 0} if hidden else {"kind": "one-to-one"},
            "network": {"cell": self.cell, "hidden": hidden},
            "train": {
                "epochs": self.epochs,
                "learning_rate": self.learning_rate,
                "batch": self.batch,
                "seed": int(seed),
            },
            "output": {"precision": self.precision},
        }
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            try:
                self.model_ = train(task, table, progress=self.progress)
            except Error as error:
                raise Error(_told(str(error), names)) from None
        for warning in told:
            warnings.warn(_told(str(warning.message), names), warning.category, stacklevel=3)
        return self

    def _answers(self, X):
        check_is_fitted(self, "model_")
        X = validate_data(self, X, reset=False, dtype=np.float32)
        return self.model_.predict(np.ascontiguousarray(X))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.non_deterministic = False
        return tags

    def __getstate__(self):
        state = dict(super().__getstate__())
        if "model_" in state:
            state["model_"] = state["model_"].to_bytes()
        return state

    def __setstate__(self, state):
        if isinstance(state.get("model_"), bytes):
            state = {**state, "model_": Model.from_bytes(state["model_"])}
        super().__setstate__(state)


class KingletForecaster(RegressorMixin, _Series):
    """A recurrent network from the rows of a series to numbers, one answer per row.

    X: (rows, columns) in order of time. y: (rows,) or (rows, outputs); to forecast, that of a row is what comes later. The last share
    `valid` of the rows decides which epoch is kept. hidden: units of every recurrent layer, () for a network without memory. window:
    rows over which it is trained to remember. precision: "f32", or what the device gets: "w8a16", "w8a8", "w4a8".

    model_ is the `kinglet.Trained`: its `to_bytes()` is what a device runs. It takes columns called x0, x1, …
    """

    def fit(self, X: ArrayLike, y: ArrayLike) -> "KingletForecaster":
        """Trains it. Returns self."""
        X, y = validate_data(self, X, y, dtype=np.float64, multi_output=True, y_numeric=True, ensure_min_samples=4)
        self._flat = y.ndim == 1
        y = y.reshape(len(y), -1).astype(np.float64)
        names = [f"y{k}" for k in range(y.shape[1])]
        called = ["y"] if self._flat else [f"column {k} of y" for k in range(len(names))]
        return self._train(X, dict(zip(names, y.T)), {"targets": names}, dict(zip(names, called)))

    def predict(self, X: ArrayLike) -> NDArray[np.float64]:
        """(rows,) or (rows, outputs), as y was, from the first row on."""
        answers = self._answers(X).astype(np.float64)
        return answers[:, 0] if self._flat else answers

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        tags.regressor_tags.poor_score = True
        return tags


class KingletClassifier(ClassifierMixin, _Series):
    """A recurrent network from the rows of a series to classes, one per row. As `KingletForecaster`; classes_ are those of y."""

    def fit(self, X: ArrayLike, y: ArrayLike) -> "KingletClassifier":
        """Trains it. Returns self."""
        X, y = validate_data(self, X, y, dtype=np.float64, ensure_min_samples=4)
        check_classification_targets(y)
        self.classes_, places = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(f"y has one class, {self.classes_[0]!r}; a classifier needs two or more")
        names = [f"c{k}" for k in range(len(self.classes_))]
        classes = [{"name": name, "labels": [name]} for name in names]
        y = [names[place] for place in places]
        called = [repr(label) for label in self.classes_.tolist()]
        return self._train(X, {"y": y}, {"label": {"column": "y", "classes": classes}}, dict(zip(names, called)))

    def predict_proba(self, X: ArrayLike) -> NDArray[np.float64]:
        """(rows, classes), from the first row on."""
        scores = self._answers(X).astype(np.float64)
        return scores / scores.sum(axis=1, keepdims=True)

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """(rows,) classes, from the first row on."""
        best = np.argmax(self._answers(X), axis=1)
        return self.classes_[best]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.poor_score = True
        return tags
