"""What looks like a secret, by its name or its form, and what does not."""

from __future__ import annotations

import base64
import random
import string
import uuid
from collections.abc import Callable

import pytest

from respawn_kernels.secret_patterns import looks_secret

SECRETS = {
    "SMTP_PASSWORD": "1234",
    "PGPASSWORD": "horse",
    "DB_PASS": "horse",
    "AWS_SECRET_ACCESS_KEY": "x",
    "OPENAI_API_KEY": "x",
    "AZURE_CLIENT_SECRET": "x",
    "SENTRY_DSN": "x",
    "GITHUB_TOKEN": "x",
    "COMPANY_GPG_PASSPHRASE": "x",
    "ENCRYPTION_KEY": "x",
    "AZURE_STORAGE_CONNECTION_STRING": "x",
    "DATABASE_URL": "postgresql+psycopg://ada:horse@db:5432/x",
    "PROXY": "http://ada:horse@proxy:3128",
    "HEADER": "Bearer abcdefghijk",
    "DSN": "host=db user=ada password=horse",
    "CERT": "-----BEGIN RSA PRIVATE KEY-----\nMIIE",
    "A": "ghp_abcdefghijklmnop1234",
    "B": "eyJhbGciOi.eyJzdWIiOi.c2ln",
    "C": "DefaultEndpointsProtocol=https;AccountName=a;AccountKey=abcd==",
    "D": "AKIAIOSFODNN7EXAMPLE",
}
ORDINARY = {
    "STAGE": "production",
    "TOKENIZERS_PARALLELISM": "false",
    "MAX_TOKENS": "4096",
    "HF_TOKENIZER": "gpt2",
    "SECRET_MODE": "0",
    "DATA": "/srv/data/2024-01-02/part-00001.parquet",
    "URL": "https://example.org/a?page=2",
    "MODEL": "sentence-transformers/all-MiniLM-L6-v2",
    "RUN": "experiment-2024-run-01-of-12",
    "WHEN": "2024-01-02T03:04:05.678901+00:00",
    "PATHS": "/usr/lib:/usr/local/lib:/usr/lib64",
    "CLASS": "MyVeryLongClassNameHere",
    "NUMBERS": "1234567890123456789012345",
    "CUDA_VISIBLE_DEVICES": "0,1,2,3",
    "TEXT": "the quick brown fox jumps over 2 lazy dogs",
}


@pytest.mark.parametrize(("name", "value"), SECRETS.items(), ids=SECRETS)
def test_secrets_are_found(name: str, value: str) -> None:
    assert looks_secret(name, value)


@pytest.mark.parametrize(("name", "value"), ORDINARY.items(), ids=ORDINARY)
def test_what_is_ordinary_is_let_alone(name: str, value: str) -> None:
    assert not looks_secret(name, value)


@pytest.mark.parametrize(
    "made",
    [
        lambda draw: "".join(draw.choices(string.ascii_letters + string.digits, k=40)),
        lambda draw: draw.randbytes(24).hex(),
        lambda draw: base64.b64encode(draw.randbytes(32)).decode(),
        lambda draw: base64.urlsafe_b64encode(draw.randbytes(32)).decode().rstrip("="),
        lambda draw: str(uuid.UUID(bytes=draw.randbytes(16))),
    ],
    ids=["letters and digits", "hex", "base64", "urlsafe", "uuid"],
)
def test_what_a_generator_drew_is_found_under_any_name(made: Callable[[random.Random], str]) -> None:
    seed = random.randrange(2**32)
    draw = random.Random(seed)
    missed = [value for value in (made(draw) for _ in range(300)) if not looks_secret("VALUE", value)]
    assert len(missed) <= 6, f"seed {seed}: {missed}"


def test_a_long_value_costs_little() -> None:
    for piece in ("a", "=", "a:", "://a:", "token", "a1B", "-----BEGIN "):
        assert looks_secret("VALUE", piece * 100_000) in (True, False)
