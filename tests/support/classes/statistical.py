"""Classes of statsmodels and LightGBM, fitted."""

from __future__ import annotations

from support.classes.cases import Library

STATSMODELS = Library(
    "statsmodels",
    """
    import warnings
    warnings.simplefilter('ignore')
    import numpy as np, pandas as pd
    import statsmodels.api as sm, statsmodels.formula.api as smf
    from statsmodels.tsa.api import ARIMA, ExponentialSmoothing, SimpleExpSmoothing, VAR
    random = np.random.default_rng(0)
    X = sm.add_constant(random.random((40, 2)))
    y = X @ [1.0, 2.0, 3.0] + random.random(40)
    data = pd.DataFrame({'y': y, 'u': X[:, 1], 'v': X[:, 2]})
    """,
    "np.array_equal(a.params, b.params) and str(a.summary().tables[1]) == str(b.summary().tables[1])",
)
LIGHTGBM = Library(
    "LightGBM",
    """
    import numpy as np, lightgbm as lgb
    X = np.random.default_rng(0).random((60, 4))
    y = (X[:, 0] > 0.5).astype(int)
    few = {'n_estimators': 4, 'verbose': -1, 'n_jobs': 1}
    """,
    "np.array_equal(a.predict(X), b.predict(X))",
)


def statistics() -> None:
    """Declare statsmodels' models and results."""
    lib = STATSMODELS
    for make in ("sm.OLS(y, X).fit()", "sm.WLS(y, X, weights=X[:, 1]).fit()", "sm.RLM(y, X).fit()"):
        lib(
            make,
            "x.params[0] += 5",
            "np.array_equal(a.params, b.params) and np.array_equal(a.predict(X), b.predict(X))",
            note=make.split("(")[0],
        )
    results = "np.array_equal(a.params, b.params)"
    lib("sm.Logit((y > 3) * 1, X).fit(disp=0)", "x.params[0] += 5", results)
    lib("sm.Poisson(np.arange(40) % 4, X).fit(disp=0)", "x.params[0] += 5", results)
    lib("sm.MNLogit(np.arange(40) % 3, X).fit(disp=0)", "x.params[0] += 5", results)
    lib("sm.GLM(y, X).fit()", "x.params[0] += 5", results)
    lib("sm.QuantReg(y, X).fit(0.5)", "x.params[0] += 5", results)
    lib(
        "smf.ols('y ~ u + np.log(v + 1)', data).fit()",
        "x._results.params[0] += 5",
        "np.array_equal(a.params, b.params) and np.array_equal(a.predict(data), b.predict(data))",
        note="from a formula",
    )
    lib("smf.mixedlm('y ~ u', data, groups=np.arange(40) % 4).fit()", "x._results.params[0] += 5", results)
    lib("ARIMA(y, order=(1, 0, 0)).fit()", "x.params[0] += 1", results)
    lib(
        "SimpleExpSmoothing(y, initialization_method='heuristic').fit()",
        "x.params['smoothing_level'] = 0.9",
        "str(a.params) == str(b.params) and np.array_equal(a.forecast(3), b.forecast(3))",
        again=False,
    )
    lib(
        "VAR(data[['y', 'u']]).fit(1)",
        "x.intercept[0] += 5",
        "np.array_equal(a.intercept, b.intercept) and np.array_equal(a.params, b.params)",
    )
    lib("sm.OLS(y.copy(), X.copy())", "x.endog[0] += 100", "np.array_equal(a.fit().params, b.fit().params)")
    lib(
        "sm.nonparametric.KDEUnivariate(y)",
        "x.fit(bw=0.5 + len(vars(x)))",
        "vars(a).keys() == vars(b).keys() and np.array_equal(getattr(a, 'density', 0), getattr(b, 'density', 0))",
    )
    lib("sm.distributions.ECDF(y)", "x.y[3] = 0.9", "np.array_equal(a(y), b(y))")
    lib(
        "sm.stats.DescrStatsW(y.copy())",
        "x.data[0] += 50",
        "a.data.tolist() == b.data.tolist() and a.mean == b.mean",
    )
    lib("sm.stats.Table2x2(np.array([[5.0, 2], [3, 9]]))", "x.table[0, 0] += 4", "a.oddsratio == b.oddsratio")


def boosted() -> None:
    """Declare LightGBM's boosters and estimators."""
    lib = LIGHTGBM
    for kind in ("LGBMClassifier", "LGBMRegressor"):
        lib(f"lgb.{kind}(**few).fit(X, y)", "x.fit(X * 2, 1 - y)")
    lib("lgb.LGBMRanker(**few).fit(X, y, group=[30, 30])", "x.fit(X, 1 - y, group=[20, 40])")
    lib(
        "lgb.train({'verbose': -1, 'num_threads': 1}, lgb.Dataset(X, y), 3)",
        "x.set_leaf_output(0, 0, 7.0 + x.get_leaf_output(0, 0))",
    )
    lib.refused("lgb.Dataset(X, y).construct()", "the data are LightGBM's memory", "pointer|pickle|ctypes")


statistics()
boosted()
LIBRARIES = (
    STATSMODELS,
    LIGHTGBM,
)
