"""Writes what the columns of a CSV file are, as a JSON file to be edited.

    python -m experiments.schema people.csv --out people.json
    python -m experiments.table --dataset csv --data-dir people.csv --schema people.json

Kinds are number, whole, category and skip; `jwgan.data.tables` says how they are guessed and what
becomes of them.
"""

from jwgan.run import schema

if __name__ == "__main__":
    schema.main(doc=__doc__)
