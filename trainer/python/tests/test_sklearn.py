"""The estimators keep scikit-learn's rules, but those that ask for rows without an order."""

import warnings

import numpy as np
import pytest

sklearn = pytest.importorskip("sklearn")
pytest.importorskip("pyarrow")
from sklearn.utils.estimator_checks import estimator_checks_generator  # noqa: E402

from kinglet.sklearn import KingletClassifier, KingletForecaster, expected_failed_checks  # noqa: E402


def series(rows=800, seed=1):
    """What was 3 rows before, and whether it was above zero."""
    x = np.random.default_rng(seed).normal(size=(rows, 2))
    y = np.roll(x[:, 0], 3) + 0.1 * x[:, 1]
    y[:3] = 0
    return x, y


def quiet(work):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return work()


def test_a_forecaster_remembers():
    x, y = series()
    forecaster = quiet(lambda: KingletForecaster(hidden=12, precision="w8a16").fit(x, y))
    z, want = series(seed=2)
    assert quiet(lambda: forecaster.score(z, want)) > 0.9
    assert forecaster.predict(z).shape == (800,) and forecaster.model_.format == "w8a16"
    both = quiet(lambda: KingletForecaster(epochs=1).fit(x, np.stack([y, -y], axis=1)))
    assert both.predict(z).shape == (800, 2)


def test_a_classifier_has_the_classes_of_y():
    x, y = series()
    labels = np.where(y > 0, "up", "down")
    classifier = quiet(lambda: KingletClassifier(hidden=12).fit(x, labels))
    z, want = series(seed=2)
    assert list(classifier.classes_) == ["down", "up"]
    assert classifier.score(z, np.where(want > 0, "up", "down")) > 0.85
    assert np.allclose(classifier.predict_proba(z).sum(axis=1), 1)


def test_messages_have_the_names_that_were_given():
    x, y = series(300)
    x[:, 1] = 5
    with pytest.raises(ValueError, match=r"^column 1 of X is constant \(5\) over the training part; leave it out of X$"):
        KingletForecaster(epochs=1).fit(x, y)
    pandas = pytest.importorskip("pandas")
    with pytest.raises(ValueError, match=r'^column "load" of X is constant'):
        KingletForecaster(epochs=1).fit(pandas.DataFrame(x, columns=["temp", "load"]), y)
    x, y = series(300)
    with pytest.raises(ValueError, match="valid=50: a share of the rows"):
        KingletForecaster(valid=50).fit(x, y)
    with pytest.raises(ValueError, match="^learning_rate: must be positive"):
        KingletForecaster(learning_rate=-1).fit(x, y)
    with pytest.raises(ValueError, match="^y is constant"):
        KingletForecaster(epochs=1).fit(x, 0 * y)
    with pytest.warns(UserWarning, match="class 'fault' has nothing in the training part"):
        KingletClassifier(epochs=1).fit(x, ["calm"] * 290 + ["fault"] * 10)


def checks():
    # Few rows teach little: what is checked is not how well it learns.
    for estimator in (KingletForecaster(epochs=2, hidden=(4,)), KingletClassifier(epochs=2, hidden=(4,))):
        for made, check in estimator_checks_generator(estimator):
            name = getattr(check, "func", check).__name__
            marks = [pytest.mark.xfail(reason=expected_failed_checks[name], strict=True)] if name in expected_failed_checks else []
            yield pytest.param(made, check, id=f"{type(estimator).__name__}-{name}", marks=marks)


@pytest.mark.parametrize("estimator, check", list(checks()))
def test_scikit_learn(estimator, check):
    quiet(lambda: check(estimator))
