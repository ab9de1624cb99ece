"""The format of a checkpoint: manifest, blobs, pieces, placeholders, and the errors of reading one.

It knows no namespace and no pickle.
"""
