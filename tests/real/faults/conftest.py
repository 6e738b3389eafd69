"""One PostgreSQL for all tests of this folder."""

from collections.abc import Iterator

import pytest

from tests.real.faults.postgres import Server, folder_of_programs, running


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    programs = folder_of_programs()
    if programs is None:
        pytest.skip("PostgreSQL is not installed (Debian: apt-get install postgresql)")
    with running(programs) as server:
        yield server
