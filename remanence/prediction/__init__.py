"""A trained model at work: outputs and scores of a part, rows of a table, files of rows."""
