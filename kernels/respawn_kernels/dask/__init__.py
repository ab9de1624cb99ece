"""A Dask cluster that ends with its kernel."""
