from twinbench.seeds import derive_seed


def test_axes_are_named_not_ordered():
    assert derive_seed(1, study="a", round=3) == derive_seed(1, round=3, study="a")


def test_every_axis_matters():
    seeds = {derive_seed(base, round=r, epoch=e) for base in range(3) for r in range(20) for e in range(20)}
    assert len(seeds) == 3 * 20 * 20  # (round 1, epoch 2) and (round 2, epoch 1) among them


def test_seeds_fit_torch_and_numpy():
    assert all(0 <= derive_seed(0, round=r) < 2**63 for r in range(1000))
