"""The PostgreSQL that the tests run on."""

from __future__ import annotations

import psycopg
import pytest

from tests.postgresql import Installation, OwnServer, Server, installations


def test_each_test_gets_an_empty_database_of_its_own(postgresql_server: Server) -> None:
    first, second = postgresql_server.create_database(), postgresql_server.create_database()
    with psycopg.connect(first) as connection:
        connection.execute("CREATE TABLE only_here (n int)")
    with psycopg.connect(second) as connection:
        found = connection.execute("SELECT to_regclass('only_here')").fetchone()
    assert found == (None,)
    for url in (first, second):
        postgresql_server.drop_database(url)


@pytest.mark.parametrize("installation", installations(), ids=lambda each: str(each.bin))
def test_a_server_starts_from_every_installation_and_leaves_nothing_behind(installation: Installation) -> None:
    server = OwnServer(installation)
    with psycopg.connect(server.url) as connection:
        said = connection.execute("SHOW server_version").fetchone()
    server.stop()
    assert said == (installation.version,)
    assert not server.folder.exists()
