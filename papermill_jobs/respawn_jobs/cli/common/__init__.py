"""What commands share: options, tables, questions, the connection, seeing a run through."""
