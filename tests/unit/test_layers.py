"""The package's layers, which pyproject.toml states: who imports whom, and that no import goes round in a circle."""

import tomllib

import grimp
import pytest
from grimp import Layer

from tests.conftest import ROOT

STATED = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
CONTRACTS = {contract["name"]: contract for contract in STATED["contracts"]}
# What an architecture's file may import of the package.
FOR_ARCHITECTURES = {"twinbench.architectures.registry", "twinbench.architectures.twin", "twinbench.scratch.modules"}


@pytest.fixture(scope="module")
def graph():
    return grimp.build_graph(STATED["root_package"], cache_dir=None)


def layers(contract):
    """The layers of a contract, highest first, as grimp has them."""
    found = []
    for line in contract["layers"]:
        assert not ("|" in line and ":" in line), line
        names = [name.strip() for name in line.replace(":", "|").split("|")]
        found.append(Layer(*names, independent=":" not in line))
    return found


def told(broken):
    """Broken rules as lines: who imports whom, by which modules."""
    return [f"{found.importer} imports {found.imported}: {sorted(map(str, found.routes))}" for found in broken]


def test_layers_import_downwards_only(graph):
    contract = CONTRACTS["layers"]
    broken = graph.find_illegal_dependencies_for_layers(layers(contract), containers=set(contract["containers"]))
    assert not told(broken)


def test_every_part_of_the_package_has_its_layer(graph):
    stated = [name for layer in layers(CONTRACTS["layers"]) for name in layer.module_tails]
    assert sorted(stated) == sorted(child.partition(".")[2] for child in graph.find_children("twinbench"))


@pytest.mark.parametrize(
    ("importer", "imported"),
    [
        *[("config", other) for other in ("training", "evaluation", "figures", "report")],
        *[("training", other) for other in ("config", "evaluation", "figures", "report")],
        *[("spec", other) for other in ("config", "tasks", "training", "evaluation", "figures", "report")],
        *[("tasks", other) for other in ("config", "training", "evaluation", "figures", "report")],
        *[("evaluation", other) for other in ("figures", "report")],
        *[("architectures", other) for other in ("spec", "data", "files", "metric", "tasks", "training", "config")],
        *[("scratch", other) for other in ("architectures", "files", "spec", "data", "tasks", "training")],
        ("figures", "report"),
        ("report", "figures"),
    ],
)
def test_the_layers_forbid(graph, importer, imported):
    """No module imports a layer above it; the check finds a made-up import, also through another module."""
    contract = CONTRACTS["layers"]
    forbidden = [f"twinbench.{importer}", f"twinbench.{imported}"]
    if importer == "architectures" and imported in ("data", "files", "metric"):
        assert forbidden[0] in CONTRACTS["architectures"]["source_modules"]
        assert forbidden[1] in CONTRACTS["architectures"]["forbidden_modules"]
        return
    assert not graph.chain_exists(importer=forbidden[0], imported=forbidden[1], as_packages=True)
    changed = grimp.build_graph("twinbench", cache_dir=None)
    changed.add_import(importer=forbidden[0], imported=forbidden[1])
    broken = changed.find_illegal_dependencies_for_layers(layers(contract), containers={"twinbench"})
    assert (forbidden[0], forbidden[1]) in {(found.importer, found.imported) for found in broken}


def test_architectures_import_what_they_register_with(graph):
    for module in graph.find_children("twinbench.architectures"):
        imported = graph.find_modules_directly_imported_by(module)
        assert imported <= FOR_ARCHITECTURES, f"{module} imports {sorted(imported - FOR_ARCHITECTURES)}"
    contract = CONTRACTS["architectures"]
    for source in contract["source_modules"]:
        for forbidden in contract["forbidden_modules"]:
            assert not graph.chain_exists(importer=source, imported=forbidden, as_packages=True), forbidden


def test_the_framework_imports_itself_alone(graph):
    for module in graph.find_descendants("twinbench.scratch"):
        assert all(name.startswith("twinbench.scratch") for name in graph.find_modules_directly_imported_by(module))


def test_no_import_goes_round_in_a_circle(graph):
    circles = {
        module: graph.find_shortest_chain(importer=other, imported=module)
        for module in graph.modules
        for other in graph.find_modules_directly_imported_by(module)
        if graph.chain_exists(importer=other, imported=module)
    }
    assert circles == {}


def test_a_circle_would_be_found(graph):
    changed = grimp.build_graph("twinbench", cache_dir=None)
    changed.add_import(importer="twinbench.scratch.modules", imported="twinbench.scratch.losses")
    assert changed.chain_exists(importer="twinbench.scratch.losses", imported="twinbench.scratch.modules")
    assert changed.chain_exists(importer="twinbench.scratch.modules", imported="twinbench.scratch.losses")
    assert not graph.chain_exists(importer="twinbench.scratch.modules", imported="twinbench.scratch.losses")
