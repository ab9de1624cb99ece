"""Texts that leave hold no secrets, and stay readable."""

from __future__ import annotations

import time

import pytest

from respawn_jobs.redact import GONE, hide, last_line, redact, shown

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U"
PEM = "-----BEGIN RSA PRIVATE KEY-----\nMIIEowIBAAKCAQEA\nhunter2hunter2\n-----END RSA PRIVATE KEY-----"


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("postgresql+psycopg://ada:hunter2@db/x", "hunter2"),
        ("could not connect to redis://:hunter2@cache:6379", "hunter2"),
        ("https://ghost@hub/x and https://u:p@ss:hunter2@host/", "hunter2"),
        ("GET https://host/x?page=1&access_token=hunter2&b=2 failed", "hunter2"),
        ("https://b.s3.amazonaws.com/k?X-Amz-Credential=hunter2%2F2026&X-Amz-Expires=60", "hunter2"),
        ("https://b.s3.amazonaws.com/k?X-Amz-Signature=hunter2deadbeef", "hunter2"),
        ("https://b.s3.amazonaws.com/k?AWSAccessKeyId=hunter2&Expires=1", "hunter2"),
        ("https://x.blob.core.windows.net/c?sv=2022&sig=hunter2", "hunter2"),
        ("Authorization: token hunter2", "hunter2"),
        ("{'Authorization': 'Bearer hunter2hunter2'}", "hunter2"),
        ("authorization=Basic aHVudGVyMjpodW50ZXIy", "aHVudGVyMj"),
        ("sent Bearer hunter2.hunter2-hunter2", "hunter2"),
        ("the hub said: token 3f2b9c0d1e4f5a6b7c8d9e0f is unknown", "3f2b9c0d1e4f"),
        ("InvalidAccessKeyId: AKIAIOSFODNN7EXAMPLE", "AKIAIOSFODNN7EXAMPLE"),
        (f"could not read {JWT} here", "dozjgNryP4J3"),
        (f"bad key {PEM}", "hunter2"),
        ("-----BEGIN PRIVATE KEY-----\nhunter2 cut off", "hunter2"),
        ("connect(password='hunter2 with spaces')", "hunter2"),
        ("connect(password='it\\'s hunter2')", "hunter2"),
        ('{"db_password": "hunter2", "x": 1}', "hunter2"),
        ('said \\"api_key\\": \\"hunter2\\"', "hunter2"),
        ("token: hunter2", "hunter2"),
        ("AWS_SECRET_ACCESS_KEY=hunter2/abc+def", "hunter2"),
        ("client_secret => hunter2", "hunter2"),
        ("PGPASSWORD=hunter2 psql", "hunter2"),
        ("ghp_hunter2hunter2hunter2hunter2", "hunter2"),
        ("https://hooks.slack.com/services/T000/B000/hunter2", "hunter2"),
        ("https://acme.webhook.office.com/webhookb2/hunter2@x/IncomingWebhook/y", "hunter2"),
    ],
)
def test_what_looks_like_a_secret_goes(text: str, secret: str) -> None:
    assert secret not in redact(text)
    assert GONE in redact(text)


@pytest.mark.parametrize(
    "text",
    [
        "KeyError: 'price'",
        "ValueError: could not convert string to float: 'n/a'",
        "run-7k3v9x0m2q of team/risk/nightly failed in cell 41",
        "FileNotFoundError: [Errno 2] No such file or directory: '/data/2026/march.parquet'",
        "see https://docs.example.org/page?id=4&page=2#top",
        "mail ada@example.org about it",
        "unexpected tokens while reading; the secretary knows",
    ],
)
def test_an_ordinary_text_stays_as_it_is(text: str) -> None:
    assert redact(text) == text


def test_values_of_telling_environment_variables_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WAREHOUSE_PASSWORD", "correct horse")
    monkeypatch.setenv("RESPAWN_DB_URL", "postgresql://ada:battery%20staple@db/x")
    said = redact("login failed for 'correct horse', then for battery%20staple or battery staple")
    assert "horse" not in said
    assert "staple" not in said


def test_what_was_hidden_goes() -> None:
    hide("plain-looking-thing")
    assert redact("it said plain-looking-thing twice") == f"it said {GONE} twice"


def test_a_line_for_people_is_short_and_without_colours() -> None:
    assert shown("\x1b[31mKeyError\x1b[0m:\n  'price'", 50) == "KeyError: 'price'"
    assert len(shown("x" * 1000, 80)) == 80


def test_a_secret_is_found_before_a_text_is_cut() -> None:
    assert "hunter2" not in shown("x" * 70 + " password=hunter2hunter2", 90)


def test_the_last_line_of_an_error_is_the_one_that_tells() -> None:
    assert last_line("first\nsecond\n\n  \n") == "second"
    assert last_line("\n") == ""


def test_long_texts_take_no_long_time() -> None:
    began = time.process_time()
    for text in ("a" * 200_000, "token" * 40_000, "eyJ" * 60_000, "://" * 60_000, "a.b-" * 50_000):
        redact(text)
    assert time.process_time() - began < 10
