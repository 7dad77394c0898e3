"""Opening, upgrading and refusing stores; what a store keeps beside the contract's tables."""

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from features.errors import AgreementError, StoreError, UnknownError
from features.identity import email_hash
from features.ledger import Batch, DeadLetter, Ledger
from features.ledger.migrate import HEAD, VERSION_TABLE
from features.ledger.reading import _TOUCH_COLUMNS
from features.ledger.tables import account_touches, metadata
from features.schema import TABLES
from tests.features.ledger.rows import deal, send, touch

ROOT = Path(__file__).parents[3]


def test_migrations_make_exactly_the_declared_tables(ledger):
    with ledger._engines.reader.connect() as connection:
        options = {"version_table": VERSION_TABLE, "compare_type": True}
        assert compare_metadata(MigrationContext.configure(connection, opts=options), metadata) == []
        view = sa.inspect(connection).get_columns("account_touches")
    assert [column["name"] for column in view] == [c.name for c in account_touches.columns]
    assert [column.name for column in _TOUCH_COLUMNS] == [c.name for c in account_touches.columns]


def test_the_head_of_the_migrations_is_the_version_that_opening_looks_for():
    config = Config()
    config.set_main_option("script_location", str(ROOT / "features/ledger/migrations"))
    config.set_main_option("path_separator", "os")
    assert ScriptDirectory.from_config(config).get_current_head() == HEAD


def test_opening_a_store_that_is_up_to_date_does_not_import_alembic(path):
    Ledger.open(path).close()
    code = "import sys; from features.ledger import Ledger; Ledger.open(sys.argv[1]); print('alembic' in sys.modules)"
    found = subprocess.run(
        [sys.executable, "-c", code, str(path)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert found.stdout == "False\n"


@pytest.mark.parametrize("scores", [0, 1])
def test_a_store_of_the_first_version_is_upgraded_with_all_that_it_holds(path, monkeypatch, scores):
    monkeypatch.setattr("features.ledger.migrate.HEAD", "0001")
    Ledger.open(path).close()
    with sqlite3.connect(path) as connection:
        row = ("a-1", 1, "d")
        connection.execute("INSERT INTO accounts (account_id, ledger_seq, digest) VALUES (?, ?, ?)", row)
        connection.execute("UPDATE head SET ledger_seq = 1, known_at = 5")
        old = ("a-1", "won_90d", 5, "1.0", 1, "d")
        into = "INSERT INTO scores (account_id, goal, scored_at, model_version, ledger_seq, digest) VALUES"
        connection.executemany(f"{into} (?, ?, ?, ?, ?, ?)", [old] * scores)
    connection.close()
    monkeypatch.undo()
    with Ledger.open(path) as ledger:
        assert (ledger.head().ledger_seq, ledger.export("accounts")["account_id"].to_pylist()) == (1, ["a-1"])
        assert ledger.export("scores").num_rows == 0
        send(ledger, "deals", deal(5))
    with sqlite3.connect(path) as connection:
        kept = connection.execute("SELECT name FROM sqlite_master WHERE name = 'scores_0001'").fetchall()
        assert len(kept) == scores
    connection.close()


def test_a_store_can_be_reopened_and_given_as_a_dsn(path):
    with Ledger.open(path) as ledger:
        send(ledger, "deals", deal(5))
        key, head = ledger.email_key(), ledger.head()
    with Ledger.open(f"sqlite:///{path}") as ledger:
        assert (ledger.email_key(), ledger.head()) == (key, head)
        assert ledger.export("deals").num_rows == 1


def test_a_reader_makes_no_store(path):
    with pytest.raises(UnknownError, match="There is no store"):
        Ledger.open(path, must_exist=True)
    assert not path.exists()


def not_a_database(path):
    path.write_text("account,channel\na-1,Email\n" * 50)


def another_program(path):
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE runs (id)")
    connection.close()


def newer(path):
    Ledger.open(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute(f"UPDATE {VERSION_TABLE} SET version_num = '9999'")
    connection.close()


def damaged(path):
    path.write_bytes(b"SQLite format 3\0" + b"\xff" * 5_000)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (Path.mkdir, "must be a database file. Got the folder"),
        (not_a_database, "is not a database"),
        (another_program, "belongs to another program"),
        (newer, "version 9999, newer than"),
        (damaged, "can not be used"),
    ],
)
def test_what_is_no_store_of_ours_is_refused_in_words(path, make, message):
    make(path)
    with pytest.raises(StoreError, match=message):
        Ledger.open(path)


@pytest.mark.parametrize(
    ("store", "message"),
    [
        ("/nowhere/at/all.db", "no folder /nowhere/at"),
        ("sqlite://", "must be a file"),
        ("postgresql://host/db", "'postgresql' are not supported"),
        ("://", "can not be read"),
    ],
)
def test_addresses_that_are_no_file_are_refused_in_words(store, message):
    with pytest.raises(StoreError, match=message):
        Ledger.open(store)


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write anything")
def test_a_store_without_permission_is_refused(path):
    Ledger.open(path).close()
    path.chmod(0o400)
    with pytest.raises(StoreError, match="no permission"):
        Ledger.open(path)


def test_unknown_tables_are_named_with_the_nearest(ledger):
    with pytest.raises(UnknownError, match="Did you mean 'deals'"):
        ledger.append(Batch({"deal": []}))
    with pytest.raises(UnknownError, match="can not be appended"):
        ledger.append(Batch({"scores": []}))
    with pytest.raises(UnknownError, match="no table 'touches'"):
        ledger.export("touches")


def test_every_table_can_be_exported_with_its_schema(ledger):
    for name, table in TABLES.items():
        assert ledger.export(name).schema == table.arrow


def test_the_email_key_is_secret_to_each_store_and_can_be_given(ledger, tmp_path, monkeypatch):
    with Ledger.open(tmp_path / "other.db") as other:
        assert len(ledger.email_key()) == 32
        assert ledger.email_key() != other.email_key()
    monkeypatch.setenv("SMARKETING_EMAIL_KEY", "ab" * 32)
    assert ledger.email_key() == b"\xab" * 32
    monkeypatch.setenv("SMARKETING_EMAIL_KEY", "secret")
    with pytest.raises(AgreementError, match="64 hexadecimal digits"):
        ledger.email_key()
    assert email_hash(b"\xab" * 32, " Ann@Example.COM\n") == email_hash(b"\xab" * 32, "ann@example.com")
    assert email_hash(b"\xab" * 32, "ann@example.com") != email_hash(b"\xac" * 32, "ann@example.com")


def letter(row_number, **columns):
    fields = {
        "batch": "log.csv",
        "table": "deals",
        "field": "amount",
        "code": "money",
        "value": "x",
        "reason": "no",
        "raw": "{}",
    }
    return DeadLetter(row_number=row_number, **{**fields, **columns})


def test_dead_letters_are_listed_once_and_settled(ledger, clock):
    for _ in range(2):
        ledger.append(Batch({"deals": [deal(5)]}, dead=[letter(1), letter(2), letter(2, batch="other.csv")]))
    first, second, third = ledger.dead_letters()
    assert (first.letter, first.created_at, first.resolved_at) == (letter(1), clock.now, None)
    assert ledger.dead_letters(batch="log.csv", after=first.id) == [second]
    clock.now += 5
    assert ledger.append(Batch({"deals": [deal(6)]}, resolves=[first.id, second.id])).accepted == 1
    assert ledger.dead_letters() == [third]
    assert [stored.resolved_at for stored in ledger.dead_letters(resolved=True)] == [clock.now, clock.now, None]


def test_a_refusal_of_the_ledger_can_become_a_dead_letter_in_the_same_transaction(ledger):
    send(ledger, "deals", deal(5, revision=1))
    batch = Batch(
        {"deals": [deal(5, revision=1, amount=8)]},
        on_rejection=lambda refused: letter(refused.index + 1, code=refused.code),
    )
    assert ledger.append(batch).rejected[0].code == "conflict"
    assert [stored.letter.code for stored in ledger.dead_letters()] == ["conflict"]


def test_a_batch_fails_as_a_whole(ledger):
    with pytest.raises(TypeError):
        ledger.append(Batch({"deals": [deal(5)], "touchpoints": [touch("1", campaign=object())]}))
    assert ledger.export("deals").num_rows == ledger.head().ledger_seq == 0
