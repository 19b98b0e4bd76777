"""Facts in SQLite or PostgreSQL: how they are written, read, erased and kept within limits.

Start with `store.Store`, which the rest of the program holds; its six parts are `facts`,
`questions`, `rollups` (for reports), `people`, `audit` and `live`. A fact goes in through
`fact_rows` (its row under pseudonyms, and a batch of rows with what is new, a duplicate or a
conflict) and `writer.Writer` (one transaction, for a service, an import and the spool alike). It
comes out through `facts` (which facts a report needs) and `questions` (short questions of calls
that wait). `live` holds items and rules of the shop as they are now.
`connection`, `tables`, `settings`, `months` and `migrations` hold the database and its schema,
`pseudonyms` the hashes of ids and their secret, `fact_import` records whole files.
"""
