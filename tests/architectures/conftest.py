"""Whole networks. `make test` runs one of each kind; `--all-architectures` (`make test-architectures`) all."""


def pytest_addoption(parser):
    parser.addoption("--all-architectures", action="store_true", help="also the slow networks")


def pytest_generate_tests(metafunc):
    marker = metafunc.definition.get_closest_marker("networks")
    if marker is not None:
        first, *others = marker.args
        everything = metafunc.config.getoption("--all-architectures")
        metafunc.parametrize("network", [first, *others] if everything else [first])


def pytest_configure(config):
    config.addinivalue_line(
        "markers", "networks(first, *others): of which `make test` runs the first"
    )
