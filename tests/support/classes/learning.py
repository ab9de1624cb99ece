"""Classes of scikit-learn, fitted."""

from __future__ import annotations

from support.classes.cases import Library

SKLEARN = Library(
    "scikit-learn",
    """
    import warnings
    warnings.simplefilter('ignore')
    import numpy as np
    from sklearn import (calibration, cluster, compose, covariance, datasets, decomposition, discriminant_analysis,
        dummy, ensemble, feature_extraction, feature_selection, gaussian_process, impute, isotonic, kernel_ridge,
        linear_model, manifold, mixture, model_selection, multiclass, naive_bayes, neighbors, neural_network, pipeline,
        preprocessing, random_projection, svm, tree)
    X = np.random.default_rng(0).random((40, 4))
    y, t = (X[:, 0] > 0.5).astype(int), X @ [1.0, 2.0, 0.0, -1.0]
    words = ['red blue', 'blue green', 'red red green']
    """,
)
PREDICT = "np.array_equal(a.predict(X), b.predict(X))"
TRANSFORM = "np.array_equal(np.asarray(a.transform(X)), np.asarray(b.transform(X)))"


def estimators() -> None:
    """Declare estimators; the change fits them again or on."""
    SKLEARN.same(
        PREDICT,
        *((f"{kind}.fit(X, t)", "x.fit(X * 2, t + 1)") for kind in (
            "linear_model.LinearRegression()", "linear_model.Ridge()", "linear_model.Lasso(alpha=0.01)",
            "linear_model.ElasticNet(alpha=0.01)", "linear_model.BayesianRidge()", "linear_model.HuberRegressor()",
            "svm.SVR()", "neighbors.KNeighborsRegressor()", "tree.DecisionTreeRegressor(random_state=0)",
            "kernel_ridge.KernelRidge()", "gaussian_process.GaussianProcessRegressor(alpha=0.1)",
            "ensemble.HistGradientBoostingRegressor(max_iter=4, min_samples_leaf=2)",
            "compose.TransformedTargetRegressor(linear_model.Ridge())", "dummy.DummyRegressor()",
            "ensemble.AdaBoostRegressor(n_estimators=3, random_state=0)",
        )),
    )  # fmt: skip
    SKLEARN.same(
        PREDICT,
        *((f"{kind}.fit(X, y)", "x.fit(X, 1 - y)") for kind in (
            "linear_model.LogisticRegression()", "svm.SVC()", "svm.LinearSVC()", "neighbors.KNeighborsClassifier()",
            "tree.DecisionTreeClassifier(random_state=0)", "discriminant_analysis.LinearDiscriminantAnalysis()",
            "ensemble.BaggingClassifier(n_estimators=3, random_state=0)", "dummy.DummyClassifier()",
            "ensemble.ExtraTreesClassifier(n_estimators=3, random_state=0)", "naive_bayes.ComplementNB()",
            "ensemble.VotingClassifier([('a', svm.SVC()), ('b', dummy.DummyClassifier())])",
            "ensemble.StackingClassifier([('a', svm.SVC())], cv=2)", "multiclass.OneVsRestClassifier(svm.SVC())",
            "calibration.CalibratedClassifierCV(svm.SVC(), cv=2)",
        )),
    )  # fmt: skip
    SKLEARN.same(
        PREDICT,
        *((f"{kind}.fit(X, y)", "x.n_estimators += 3; x.fit(X, 1 - y); x.estimators_ = x.estimators_[1:]") for kind in (
            "ensemble.RandomForestClassifier(n_estimators=2, warm_start=True, random_state=0, max_depth=2)",
            "ensemble.GradientBoostingRegressor(n_estimators=2, warm_start=True, random_state=0)",
        )),
    )  # fmt: skip
    SKLEARN.same(
        PREDICT,
        *((f"{kind}.partial_fit(X, y, classes=[0, 1])", "x.partial_fit(X, 1 - y); x.partial_fit(X, 1 - y)") for kind in (
            "linear_model.SGDClassifier(random_state=0)", "linear_model.Perceptron(random_state=0)",
            "naive_bayes.GaussianNB()", "naive_bayes.MultinomialNB()", "naive_bayes.BernoulliNB(binarize=0.5)",
        )),
    )  # fmt: skip
    SKLEARN.same(
        "all(np.array_equal(u, v) for u, v in zip(a.coefs_, b.coefs_))",
        (
            "neural_network.MLPClassifier((3,), random_state=0).partial_fit(X, y, classes=[0, 1])",
            "x.partial_fit(X, y)",
        ),
        (
            "neural_network.MLPRegressor(hidden_layer_sizes=(3,), random_state=0).partial_fit(X, t)",
            "x.partial_fit(X, t)",
        ),
    )
    SKLEARN("linear_model.SGDRegressor(random_state=0).partial_fit(X, t)", "x.partial_fit(X, t)", PREDICT)
    SKLEARN(
        "isotonic.IsotonicRegression().fit(X[:, 0], t)",
        "x.fit(X[:, 0], t + 1)",
        "np.array_equal(a.predict(X[:, 0]), b.predict(X[:, 0]))",
    )


def clusters_and_densities() -> None:
    """Declare what learns without being told."""
    SKLEARN.same(
        PREDICT + " and np.array_equal(a.cluster_centers_, b.cluster_centers_)",
        ("cluster.KMeans(3, random_state=0).fit(X)", "x.fit(X[::-1] * 3)"),
        ("cluster.MiniBatchKMeans(3, random_state=0).partial_fit(X)", "x.partial_fit(X * 2)"),
        ("cluster.MeanShift(bandwidth=0.8).fit(X)", "x.fit(X * 2)"),
    )
    SKLEARN.same(
        "np.array_equal(a.labels_, b.labels_)",
        ("cluster.DBSCAN(eps=0.05).fit(X)", "x.eps = 0.6; x.fit(X)"),
        ("cluster.AgglomerativeClustering(3).fit(X)", "x.n_clusters += 2; x.fit(X)"),
    )
    SKLEARN(
        "cluster.Birch(threshold=0.4).fit(X)",
        "x.threshold /= 2; x.fit(X)",
        "np.array_equal(a.subcluster_centers_, b.subcluster_centers_)",
    )
    scores = "np.array_equal(a.score_samples(X), b.score_samples(X))"
    SKLEARN.same(
        scores,
        ("mixture.GaussianMixture(2, random_state=0).fit(X)", "x.fit(X * 2)"),
        ("neighbors.KernelDensity(bandwidth=0.5).fit(X)", "x.fit(X * 2)"),
        ("ensemble.IsolationForest(n_estimators=4, random_state=0).fit(X)", "x.fit(X * 2)"),
        ("neighbors.LocalOutlierFactor(novelty=True).fit(X)", "x.fit(X * 2)"),
        ("svm.OneClassSVM().fit(X)", "x.fit(X * 2)"),
    )
    SKLEARN(
        "covariance.EmpiricalCovariance().fit(X)",
        "x.fit(X * 2)",
        "np.array_equal(a.covariance_, b.covariance_)",
    )
    SKLEARN(
        "neighbors.NearestNeighbors().fit(X)",
        "x.fit(X * 2)",
        "np.array_equal(a.kneighbors(X)[0], b.kneighbors(X)[0])",
    )
    SKLEARN(
        "neighbors.BallTree(X.copy())",
        "x = neighbors.BallTree(X * 2)\nalias = holder['x'] = x",
        "np.array_equal(a.query(X)[0], b.query(X)[0])",
    )
    SKLEARN("manifold.Isomap().fit(X)", "x.fit(X * 2)", "np.array_equal(a.embedding_, b.embedding_)")


def transformers() -> None:
    """Declare what changes data, and what is put together from other estimators."""
    SKLEARN.same(
        TRANSFORM,
        *((f"{kind}.fit(X)", "x.fit(X[:30] * 2 - 1)") for kind in (
            "decomposition.PCA(2)", "decomposition.TruncatedSVD(2, random_state=0)", "decomposition.FastICA(2, random_state=0)",
            "preprocessing.MaxAbsScaler()", "preprocessing.RobustScaler()", "preprocessing.PowerTransformer()",
            "preprocessing.QuantileTransformer(n_quantiles=5)", "preprocessing.KBinsDiscretizer(encode='ordinal', strategy='uniform')",
            "preprocessing.SplineTransformer()",
        )),
        ("random_projection.GaussianRandomProjection(2, random_state=0).fit(X)", "x.components_[0] += 1"),
        ("preprocessing.StandardScaler().partial_fit(X)", "x.partial_fit(X * 2)"),
        ("preprocessing.MinMaxScaler().partial_fit(X)", "x.partial_fit(X * 2)"),
        ("decomposition.IncrementalPCA(2).partial_fit(X)", "x.partial_fit(X * 2)"),
        ("decomposition.NMF(2, random_state=0).fit(X)", "x.fit(X * 2)"),
        ("preprocessing.PolynomialFeatures(2).fit(X)", "x.set_params(include_bias=not x.include_bias).fit(X)"),
        ("preprocessing.Normalizer('l1').fit(X)", "x.norm = 'l2' if x.norm == 'max' else 'max'"),
        ("preprocessing.Binarizer(threshold=0.2).fit(X)", "x.threshold += 0.2"),
        ("preprocessing.FunctionTransformer(lambda v: v * 2).fit(X)", "x.func = np.square if x.func is np.cbrt else np.cbrt"),
        ("feature_selection.SelectKBest(k=2).fit(X, y)", "x.k = 4 - x.k // 2; x.fit(X, y)"),
        ("feature_selection.VarianceThreshold().fit(X)", "x.fit(np.c_[X[:, :2], X[:, :2] * 0])"),
        ("impute.KNNImputer(n_neighbors=1).fit(X)", "x.add_indicator = True; x.fit(np.where(X > 0.9, np.nan, X))"),
    )  # fmt: skip
    SKLEARN("impute.SimpleImputer().fit(X)", "x.fit(X * 2)", "np.array_equal(a.statistics_, b.statistics_)")
    SKLEARN(
        "preprocessing.OneHotEncoder().fit([['a'], ['b']])",
        "x.fit([['a'], ['c'], ['d']])",
        "[v.tolist() for v in a.categories_] == [v.tolist() for v in b.categories_]",
    )
    SKLEARN(
        "preprocessing.OrdinalEncoder().fit([['a'], ['b']])",
        "x.fit([['a'], ['c'], ['d']])",
        "[v.tolist() for v in a.categories_] == [v.tolist() for v in b.categories_]",
    )
    SKLEARN(
        "preprocessing.LabelEncoder().fit(['a', 'b'])",
        "x.fit(['b', 'c'])",
        "a.classes_.tolist() == b.classes_.tolist()",
    )
    SKLEARN(
        "preprocessing.LabelBinarizer().fit(['a', 'b'])",
        "x.fit(['b', 'c'])",
        "a.classes_.tolist() == b.classes_.tolist()",
    )
    terms = "a.transform(words).sum() == b.transform(words).sum() and a.get_feature_names_out().tolist() == b.get_feature_names_out().tolist()"
    SKLEARN("feature_extraction.text.CountVectorizer().fit(words)", "x.fit([*words, 'violet'])", terms)
    SKLEARN("feature_extraction.text.TfidfVectorizer().fit(words)", "x.fit([*words, 'violet'])", terms)
    SKLEARN(
        "feature_extraction.text.TfidfTransformer().fit(X)",
        "x.fit((X > 0.5) * 1.0)",
        "np.array_equal(a.idf_, b.idf_)",
    )
    SKLEARN(
        "feature_extraction.text.HashingVectorizer(n_features=8)",
        "x.n_features *= 2",
        "a.transform(words).shape == b.transform(words).shape",
    )
    SKLEARN(
        "feature_extraction.DictVectorizer().fit([{'a': 1}])",
        "x.fit([{'b': 1, 'c': 2}])",
        "a.feature_names_ == b.feature_names_",
    )
    SKLEARN(
        "pipeline.make_pipeline(preprocessing.StandardScaler(), svm.SVC()).fit(X, y)",
        "x.fit(X * [1, 2, 3, 4], 1 - y)",
        PREDICT,
        keeps="x[0] is x.named_steps['standardscaler']",
    )
    SKLEARN(
        "pipeline.make_union(decomposition.PCA(1), preprocessing.MinMaxScaler()).fit(X)",
        "x.fit(X ** 2)",
        TRANSFORM,
    )
    SKLEARN(
        "compose.make_column_transformer((preprocessing.StandardScaler(), [0, 1]), remainder='passthrough').fit(X)",
        "x.fit(X ** 2)",
        TRANSFORM,
    )
    SKLEARN(
        "model_selection.GridSearchCV(svm.SVC(), {'C': [0.1, 1.0]}, cv=2).fit(X, y)",
        "x.fit(X, 1 - y)",
        PREDICT,
    )
    SKLEARN(
        "model_selection.RandomizedSearchCV(svm.SVC(), {'C': [0.1, 1.0]}, n_iter=2, cv=2, random_state=0).fit(X, y)",
        "x.fit(X, 1 - y)",
        PREDICT,
    )
    SKLEARN(
        "model_selection.KFold(4, shuffle=True, random_state=1)",
        "x.random_state += 1",
        "[v.tolist() for _, v in a.split(X)] == [v.tolist() for _, v in b.split(X)]",
    )
    SKLEARN(
        "datasets.load_iris()",
        "x.data[0] = 9; x.note = 'mine'",
        "np.array_equal(a.data, b.data) and a.get('note') == b.get('note')",
    )
    SKLEARN(
        "gaussian_process.kernels.RBF(2.0)",
        "x.length_scale = 3.0 + x.length_scale",
        "np.array_equal(a(X), b(X))",
    )


estimators()
clusters_and_densities()
transformers()
LIBRARIES = (SKLEARN,)
