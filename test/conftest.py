"""Fixtures of the end-to-end tests."""

import pytest

from tarn import Project


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    item.failed = getattr(item, "failed", False) or outcome.get_result().failed


@pytest.fixture
def make_project(request):
    """Makes projects (not started), and removes them whatever happens."""
    made = []

    def make(settings=None, **sections):
        made.append(Project(settings, **sections))
        return made[-1]

    yield make
    for project in made:
        if getattr(request.node, "failed", False):
            print(project.logs(40))
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
