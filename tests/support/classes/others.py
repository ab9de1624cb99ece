"""Classes of networkx, NLTK and Dask."""

from __future__ import annotations

from support.classes.cases import Library

NETWORKX = Library(
    "networkx",
    "import networkx as nx",
    "a.adj == b.adj and a.nodes(data=True) == b.nodes(data=True) and a.graph == b.graph",
)
NLTK = Library(
    "NLTK",
    """
    import nltk
    from nltk import collocations, lm, probability, stem, tag, text, tokenize
    tokens = 'the cat saw the dog and the dog saw the cat run'.split()
    """,
)
DASK = Library(
    "Dask",
    """
    import dask, numpy as np, pandas as pd
    import dask.array as da, dask.bag as db, dask.dataframe as dd
    def done(value):
        return value.compute(scheduler='sync')
    """,
)


def graphs() -> None:
    """Declare networkx's graphs and the views of them."""
    for kind in ("Graph", "DiGraph", "MultiGraph", "MultiDiGraph"):
        NETWORKX(
            f"nx.{kind}([(1, 2), (2, 3)])", "x.add_edge(3, 'z', w=4); x.nodes[1]['n'] = [1]; x.graph['g'] = 1"
        )
    graph = "g = nx.path_graph(4)\n"
    NETWORKX(
        f"{graph}x = g.nodes", "g.add_node('new')", "list(a) == list(b)", keeps="'new' in x and x is g.nodes"
    )
    NETWORKX(f"{graph}x = g.edges", "g.add_edge(0, 3)", "list(a) == list(b)", keeps="(0, 3) in x")
    NETWORKX(f"{graph}x = g.adj", "g.add_edge(0, 3)", "dict(a) == dict(b)", keeps="3 in x[0]")
    NETWORKX(f"{graph}x = g.degree", "g.add_edge(0, 3)", "dict(a) == dict(b)", keeps="x[0] == 2")
    NETWORKX(
        "x = nx.PlanarEmbedding()\nx.set_data({0: [1], 1: [0]})",
        "x.graph['n'] = 3",
        "a.get_data() == b.get_data() and a.graph == b.graph",
    )


def language() -> None:
    """Declare NLTK's counts, trees, stemmers, models and grammars."""
    lib = NLTK
    lib("nltk.FreqDist(tokens)", "x.update(['zebra'])", "a == b and a.N() == b.N()")
    lib("nltk.ConditionalFreqDist((t[0], t) for t in tokens)", "x['z']['zebra'] += 1")
    lib(
        "probability.MLEProbDist(nltk.FreqDist(tokens))",
        "x.freqdist().update(['cat'])",
        "a.prob('cat') == b.prob('cat')",
    )
    for kind in ("Tree", "ParentedTree"):
        lib(f"nltk.{kind}.fromstring('(S (NP the cat) (VP ran))')", "x[0][1] = x[0][1] + 's'")
    lib(
        "nltk.Text(tokens)",
        "x.tokens.append('zebra')",
        "a.tokens == b.tokens and a.count('the') == b.count('the')",
    )
    lib("stem.PorterStemmer()", "x.pool['running'] = 'RUN'", "a.stem('running') == b.stem('running')")
    lib(
        "stem.SnowballStemmer('english')",
        "x.mode = 1",
        "vars(a).keys() == vars(b).keys() and a.stem('running') == b.stem('running')",
        again=False,
    )
    lib("stem.RegexpStemmer('ing$')", "x._min = 50", "a.stem('running') == b.stem('running')")
    lib(
        "tokenize.RegexpTokenizer('[a-z]+')",
        "x._gaps = True; x._regexp = None",
        "a.tokenize('a1 b2') == b.tokenize('a1 b2')",
    )
    lib(
        "tokenize.TreebankWordTokenizer()",
        "x.mark = 1",
        'vars(a) == vars(b) and a.tokenize("don\'t") == b.tokenize("don\'t")',
        again=False,
    )
    lib(
        "tokenize.TweetTokenizer()",
        "x.preserve_case = False",
        "a.tokenize('Hi THERE') == b.tokenize('Hi THERE')",
    )
    lib("tokenize.WhitespaceTokenizer()", "x.mark = 1", "vars(a) == vars(b)", again=False)
    lib(
        "tag.UnigramTagger([[('cat', 'N'), ('ran', 'V')]])",
        "x._context_to_tag['dog'] = 'N'",
        "a.tag(['dog', 'cat']) == b.tag(['dog', 'cat'])",
    )
    lib("tag.DefaultTagger('N')", "x._tag = 'V'", "a.tag(['a']) == b.tag(['a'])")
    lib(
        "nltk.NaiveBayesClassifier.train([({'a': 1}, 'x'), ({'a': 2}, 'y')])",
        "x._labels.append('z')",
        "a.labels() == b.labels() and a.classify({'a': 2}) == b.classify({'a': 2})",
    )
    lib(
        "collocations.BigramCollocationFinder.from_words(tokens)",
        "x.apply_freq_filter(2)",
        "dict(a.ngram_fd) == dict(b.ngram_fd)",
        again=False,
    )
    lib(
        "x = lm.MLE(2)\nx.fit([[('the', 'cat')]], ['the', 'cat'])",
        "x.fit([[('the', 'dog')]])",
        "a.score('cat', ['the']) == b.score('cat', ['the'])",
    )
    lib("lm.Vocabulary(tokens, unk_cutoff=2)", "x.update(['zebra', 'zebra'])")
    lib(
        "lm.NgramCounter([[('a', 'b')]])",
        "x.update([[('a', 'c')]])",
        "dict(a[2]) == dict(b[2]) and a.N() == b.N()",
    )
    lib.fixed(
        "nltk.CFG.fromstring('S -> \"a\"')",
        "nltk.CFG.fromstring('S -> \"b\"')",
        "a.productions() == b.productions()",
    )
    lib.fixed(
        "nltk.ProbabilisticTree('S', ['a'], prob=0.5)",
        "nltk.ProbabilisticTree('S', ['b'], prob=0.2)",
        "a == b",
    )
    lib.fixed("nltk.sem.Expression.fromstring('p & q')", "nltk.sem.Expression.fromstring('p | q')", "a == b")


def collections() -> None:
    """Declare Dask's collections: what is planned, before it is computed."""
    lib = DASK
    lib.fixed("da.arange(6, chunks=3)", "x * 2", "done(a).tolist() == done(b).tolist()")
    lib.fixed("db.from_sequence([1, 2, 3])", "x.map(str)", "done(a) == done(b)")
    lib.fixed("db.from_sequence([1, 2, 3]).sum()", "db.from_sequence([4]).sum()", "done(a) == done(b)")
    lib.fixed(
        "dd.from_pandas(pd.DataFrame({'a': [1, 2]}), npartitions=1)", "x[x.a > 1]", "done(a).equals(done(b))"
    )
    lib.fixed("dd.from_pandas(pd.Series([1, 2]), npartitions=1)", "x + 1", "done(a).equals(done(b))")
    lib.fixed("dd.from_pandas(pd.Series([1, 2]), npartitions=1).sum()", "x + 1", "done(a) == done(b)")
    lib.fixed(
        "dd.from_pandas(pd.DataFrame({'a': [1, 2]}), npartitions=1).index",
        "x + 1",
        "list(done(a)) == list(done(b))",
    )
    lib.fixed("dask.delayed(sum)([1, 2])", "x + 1", "done(a) == done(b)")
    lib.fixed("dask.delayed([1, 2])[0]", "dask.delayed([5])[0]", "done(a) == done(b)")
    lib.fixed("dask.delayed(len)", "dask.delayed(max)", "done(a([4, 5])) == done(b([4, 5]))")


graphs()
language()
collections()
LIBRARIES = (
    NETWORKX,
    NLTK,
    DASK,
)
