"""The public names: what a user may rely on, as a literal list; and what an installation needs besides code."""

import pkgutil
from importlib.resources import files

import pytest

import symdata

PUBLIC = [
    "Element",
    "Elements",
    "Group",
    "LearnableAffine",
    "Measure",
    "RandomSymmetry",
    "Recipe",
    "Spec",
    "SymdataError",
    "Symmetry",
    "__version__",
    "act",
    "inspect",
    "list_recipes",
    "list_sources",
    "load",
    "make",
    "open_source",
    "publish",
    "pull",
    "register_law",
    "split_keys",
    "verify",
]


def test_the_public_names_are_these():
    gone, new = set(PUBLIC) - set(symdata.__all__), set(symdata.__all__) - set(PUBLIC)
    assert not gone, (
        f"{sorted(gone)} left symdata.__all__: users import these. Keep them, or remove them here too and say so "
        "under 'Removed' in CHANGELOG.md."
    )
    assert not new, f"{sorted(new)} are new in symdata.__all__: add them to PUBLIC here and to CHANGELOG.md."


@pytest.mark.parametrize("name", PUBLIC)
def test_each_name_is_there_and_says_what_it_is(name):
    value = getattr(symdata, name)
    if name != "__version__":
        assert value.__doc__, f"symdata.{name} has no docstring"


def test_dir_lists_the_public_names():
    assert dir(symdata) == sorted(PUBLIC)


def test_a_name_that_does_not_exist_is_refused_with_those_that_do():
    with pytest.raises(AttributeError, match=r"no attribute 'lod'; it has .*load, make"):
        symdata.lod  # noqa: B018


def test_no_module_is_called_like_a_public_name():
    """Importing such a module would put it in the place of the function."""
    modules = {module.name for module in pkgutil.iter_modules(symdata.__path__)}
    assert not modules & set(PUBLIC)


def test_a_submodule_is_bound_as_usual():
    import symdata.errors

    assert symdata.errors.SymdataError is symdata.SymdataError


def test_the_templates_of_the_cards_are_found():
    assert files("cards").joinpath("dataset.md.j2").is_file()


@pytest.mark.parametrize("package", ["symdata", "zoo", "cli"])
def test_a_type_checker_reads_the_annotations_of_an_installation(package):
    """`make wheel-test` runs this on what the wheel holds."""
    assert files(package).joinpath("py.typed").is_file()
