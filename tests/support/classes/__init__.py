"""Classes of the libraries that data scientists use, for tests/coverage: how they are made and compared."""
