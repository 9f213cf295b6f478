"""Support vector machines against scikit-learn, which is LIBSVM."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mlpipe.errors import NotExecutable

KERNELS = {"linear": {}, "rbf": {"gamma": 0.3}, "poly": {"gamma": 0.4, "coef0": 0.5, "degree": 3}, "sigmoid": {"gamma": 0.05, "coef0": 0.1}}

FITTED_PROBABILITIES = pytest.mark.filterwarnings("ignore:.*probability=True:FutureWarning")


def set_kernel(model: Any, kernel: str) -> None:
    written = getattr(model.kernel, f"{kernel}Kernel")
    written.SetInParent()
    for ours, theirs in (("gamma", "gamma"), ("c", "coef0"), ("degree", "degree")):
        if theirs in KERNELS[kernel]:
            setattr(written, ours, KERNELS[kernel][theirs])


def set_vectors(model: Any, vectors: np.ndarray, *, sparse: bool) -> None:
    for vector in vectors:
        if sparse:
            nodes = model.sparseSupportVectors.vectors.add().nodes
            for index in np.flatnonzero(vector):
                nodes.add(index=int(index) + 1, value=float(vector[index]))
        else:
            model.denseSupportVectors.vectors.add().values.extend(vector.tolist())


def points(classes: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(classes)
    rows = rng.normal(size=(90, 4))
    rows[rng.random(rows.shape) < 0.2] = 0.0
    return rows, rng.permutation(np.arange(90) % classes)


@pytest.mark.parametrize("sparse", [True, False])
@pytest.mark.parametrize("kernel", KERNELS)
def test_regression(specification: Any, run: Any, kernel: str, sparse: bool) -> None:
    from sklearn.svm import SVR

    rows, _ = points(2)
    trained = SVR(kernel=kernel, **KERNELS[kernel]).fit(rows, rows.sum(axis=1))
    spec = specification("supportVectorRegressor", {"x": "float64[4]"}, {"y": "double"}, predicted="y")
    model = spec.supportVectorRegressor
    set_kernel(model, kernel)
    set_vectors(model, trained.support_vectors_, sparse=sparse)
    model.coefficients.alpha.extend(trained.dual_coef_[0])
    model.rho = -float(trained.intercept_[0])
    found = [result["y"] for result in run(spec, [{"x": row} for row in rows])]
    np.testing.assert_allclose(found, trained.predict(rows), rtol=1e-10, atol=1e-10)


def classifier(specification: Any, trained: Any, kernel: str, *, sparse: bool, probabilities: bool) -> Any:
    outputs = {"label": "int64", "p": "int64{}"} if probabilities else {"label": "int64"}
    spec = specification("supportVectorClassifier", {"x": "float64[4]"}, outputs, "label", "p" if probabilities else "")
    model = spec.supportVectorClassifier
    set_kernel(model, kernel)
    set_vectors(model, trained.support_vectors_, sparse=sparse)
    model.int64ClassLabels.vector.extend(trained.classes_.tolist())
    model.numberOfSupportVectorsPerClass.extend(trained.n_support_.tolist())
    for row in trained._dual_coef_:
        model.coefficients.add().alpha.extend(row)
    model.rho.extend((-trained._intercept_).tolist())
    if probabilities:
        model.probA.extend(trained.probA_)
        model.probB.extend(trained.probB_)
    return spec


@pytest.mark.parametrize("classes", [2, 3, 5])
@pytest.mark.parametrize("kernel", KERNELS)
def test_votes(specification: Any, run: Any, kernel: str, classes: int) -> None:
    from sklearn.svm import SVC

    rows, labels = points(classes)
    trained = SVC(kernel=kernel, break_ties=False, **KERNELS[kernel]).fit(rows, labels * 10)
    spec = classifier(specification, trained, kernel, sparse=kernel != "rbf", probabilities=False)
    assert [result["label"] for result in run(spec, [{"x": row} for row in rows])] == trained.predict(rows).tolist()


@FITTED_PROBABILITIES
@pytest.mark.parametrize("classes", [3, 4])
def test_probabilities_of_many_classes(specification: Any, run: Any, classes: int) -> None:
    """LIBSVM's iteration stops early, so only the same iteration gives the same numbers."""
    from sklearn.svm import SVC

    rows, labels = points(classes)
    trained = SVC(kernel="rbf", gamma=0.3, probability=True, random_state=0).fit(rows, labels)
    expected = trained.predict_proba(rows)
    results = run(classifier(specification, trained, "rbf", sparse=True, probabilities=True), [{"x": row} for row in rows])
    np.testing.assert_allclose([list(result["p"].values()) for result in results], expected, rtol=1e-9)
    assert [result["label"] for result in results] == trained.classes_[expected.argmax(axis=1)].tolist()


@FITTED_PROBABILITIES
def test_two_classes_have_the_probability_of_their_one_pair(specification: Any, run: Any) -> None:
    from sklearn.svm import SVC

    rows, labels = points(2)
    trained = SVC(kernel="linear", probability=True, random_state=0).fit(rows, labels)
    spec = classifier(specification, trained, "linear", sparse=False, probabilities=True)
    # Of two classes scikit-learn shows the decision with its sign turned.
    decisions = -trained.decision_function(rows)
    first = 1 / (1 + np.exp(decisions * trained.probA_[0] + trained.probB_[0]))
    results = run(spec, [{"x": row} for row in rows])
    np.testing.assert_allclose([result["p"][0] for result in results], first, rtol=1e-10)
    np.testing.assert_allclose([result["p"][1] for result in results], 1 - first, rtol=1e-10)


MISTAKES = {
    "as many as its classes": lambda model: model.numberOfSupportVectorsPerClass.__setitem__(0, 1),
    "fit its support vectors": lambda model: model.coefficients[0].alpha.pop(),
    "constant for each pair": lambda model: model.rho.append(0.0),
    "no kernel": lambda model: model.ClearField("kernel"),
    "how many support vectors": lambda model: model.int64ClassLabels.vector.append(7),
    "names feature 9 of 4": lambda model: model.sparseSupportVectors.vectors[0].nodes.add(index=9, value=1.0),
}


@pytest.mark.parametrize("why", MISTAKES)
def test_what_does_not_fit_is_refused(specification: Any, run: Any, why: str) -> None:
    from sklearn.svm import SVC

    rows, labels = points(3)
    spec = classifier(specification, SVC(kernel="linear").fit(rows, labels), "linear", sparse=True, probabilities=False)
    MISTAKES[why](spec.supportVectorClassifier)
    with pytest.raises(NotExecutable) as raised:
        run(spec, [{"x": rows[0]}])
    assert why in str(raised.value.why)


def test_declared_probabilities_need_their_numbers(specification: Any, run: Any) -> None:
    from sklearn.svm import SVC

    rows, labels = points(2)
    spec = classifier(specification, SVC(kernel="linear").fit(rows, labels), "linear", sparse=True, probabilities=False)
    spec.description.predictedProbabilitiesName = "p"
    with pytest.raises(NotExecutable) as raised:
        run(spec, [{"x": rows[0]}])
    assert "declares probabilities" in str(raised.value.why)
