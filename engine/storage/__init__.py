"""Facts in SQLite or PostgreSQL: how they are written, read, erased and kept within limits.

Start with `sql.SqlStore`, which the rest of the program holds. A fact goes in through
`batch.prepare` (its row under pseudonyms), `batch.Batch` (what is new, a duplicate or a conflict)
and `writer.Writer` (one transaction, for a service, an import and the spool alike).
It comes out through `scope` (which facts a report needs) and `asking` (short questions of calls
that wait). `tables` and `migrations` hold the schema, `rollups` what reports have counted before,
`importing` whole files, `rotation` and `erasure` what happens to the ids of persons.
"""
