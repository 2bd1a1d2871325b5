"""The graph of texts and words.

Yao, Mao, Luo: Graph convolutional networks for text classification, AAAI 2019,
doi:10.1609/aaai.v33i01.33017370.

Texts and words are nodes. An edge between a text and a word has its TF-IDF, an edge between two
words their pointwise mutual information (PMI) in windows of the texts, where that is positive.
"""

from collections.abc import Sequence

import numpy as np
from scipy import sparse
from sklearn.feature_extraction.text import CountVectorizer

# The paper's length of a window, in words.
WINDOW = 20
# Words of at least two letters; numbers, as in the names of cameras' files, are left out.
_WORD = r"(?u)\b[^\W\d_]{2,}\b"


def count_words(texts: Sequence[str], min_texts: int = 2) -> tuple[sparse.csr_matrix, list[str]]:
    """Return how often each word is in each text, (texts, words), and the words.

    Parameters
    ----------
    min_texts : words in fewer texts are left out

    Examples
    --------
    >>> counts, words = count_words(["A red boat", "red sea, red sky", "sea 2024"])
    >>> words, counts.toarray().tolist()
    (['red', 'sea'], [[1, 0], [2, 1], [0, 1]])
    """
    vectoriser = CountVectorizer(token_pattern=_WORD, min_df=min_texts)
    try:
        counts = vectoriser.fit_transform(texts)
    except ValueError:  # no word is in enough texts
        return sparse.csr_matrix((len(texts), 0)), []
    return counts, list(vectoriser.get_feature_names_out())


def tf_idf(counts: sparse.csr_matrix) -> sparse.csr_matrix:
    """Return count times the logarithm of the inverse share of texts with the word."""
    with_word = np.asarray((counts > 0).sum(axis=0)).ravel()
    idf = np.log(counts.shape[0] / np.maximum(with_word, 1))
    return sparse.csr_matrix(counts @ sparse.diags(idf))


def pmi(texts: Sequence[str], words: Sequence[str], window: int = WINDOW) -> sparse.csr_matrix:
    """Return the positive pointwise mutual information of two different words, (words, words).

    Windows of `window` consecutive words slide over each text; a shorter text is one window.
    """
    index = {word: position for position, word in enumerate(words)}
    analyse = CountVectorizer(token_pattern=_WORD).build_analyzer()
    rows: list[int] = []
    columns: list[int] = []
    count = 0
    for text in texts:
        tokens = [index.get(word, -1) for word in analyse(text)]
        for start in range(max(1, len(tokens) - window + 1)):
            present = set(tokens[start : start + window]) - {-1}
            rows += [count] * len(present)
            columns += present
            count += 1
    shape = (count, len(words))
    windows = sparse.csr_matrix((np.ones(len(rows)), (rows, columns)), shape)
    together = (windows.T @ windows).tocoo()
    frequency = np.asarray(windows.sum(axis=0)).ravel()
    expected = frequency[together.row] * frequency[together.col]
    values = np.log(together.data * count / expected)
    kept = (values > 0) & (together.row != together.col)
    place = (together.row[kept], together.col[kept])
    return sparse.csr_matrix((values[kept], place), (len(words), len(words)))


def text_graph(
    texts: Sequence[str], counts: sparse.csr_matrix, words: Sequence[str]
) -> sparse.csr_matrix:
    """Return the normalised adjacency matrix of texts and words, texts first."""
    weights = tf_idf(counts)
    identity = sparse.identity(sum(counts.shape), format="csr")
    adjacency = sparse.bmat([[None, weights], [weights.T, pmi(texts, words)]]) + identity
    degree = np.asarray(adjacency.sum(axis=1)).ravel()
    scale = sparse.diags(1 / np.sqrt(degree))
    return sparse.csr_matrix(scale @ adjacency @ scale)
