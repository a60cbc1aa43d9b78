"""The claims ledger: what the source texts say, measured.  One file a claim; see `ledger`."""
