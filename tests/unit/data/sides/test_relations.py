"""What hangs together, on a handful of rows by hand."""

from __future__ import annotations

import numpy as np

from luthier.data.likeness.components import Components
from luthier.data.sides.relations import Relations, Ties


def test_components_are_told_by_their_smallest_member_with_all_of_theirs() -> None:
    components = Components(6)
    assert list(components.all()) == [[0], [1], [2], [3], [4], [5]] and list(components.several()) == []
    components.join(4, 1)
    components.join(5, 4)
    assert list(components.all()) == [[0], [1, 4, 5], [2], [3]] and list(components.several()) == [[1, 4, 5]]
    assert list(Components(0).all()) == []


def test_clusters_reach_as_far_as_groups_and_likeness_among_the_chosen_rows_do() -> None:
    table = np.array([[0, 10], [1, 10], [2, -1], [3, -1], [2, 11]], dtype=np.int32)
    relations = Relations(Ties(table), {1: (3,), 3: (1,), 20: (21,), 21: (20,)})
    assert relations.n_ties == 22, "a tie may be alike another that no row has any more"
    assert list(relations.clusters(range(5))) == [[0, 1, 3], [2, 4]]
    assert list(relations.clusters([4, 3, 0])) == [[4], [3], [0]], "what ties 0 and 3 together is row 1"
    assert relations.ties[1] == (1, 10) and relations.ties[2] == (2,)
    assert list(relations.around(1)) == [1, 3, 10]
    empty = Relations(Ties(np.zeros((0, 2), dtype=np.int32)), {})
    assert empty.n_ties == 0 and list(empty.clusters([])) == []
