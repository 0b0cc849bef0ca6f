"""Fixtures of the end-to-end tests."""

import pytest

from tarn import Project


@pytest.fixture
def make_project():
    """Makes projects (not started), and removes them whatever happens."""
    made = []

    def make(settings=None, **sections):
        made.append(Project(settings, **sections))
        return made[-1]

    yield make
    for project in made:
        project.remove()


@pytest.fixture
def project(make_project):
    """A project that runs."""
    p = make_project()
    p.up()
    return p


@pytest.fixture(scope="module")
def shared():
    """One running project for the tests of a module that leave it as they found it."""
    p = Project()
    p.up()
    yield p
    p.remove()
