"""One query language for people, over ECS field names, with one meaning in every store.

Text comes in (`parse`), a tree goes out; `match` holds it against documents, `sql` against the
history's columns, `dsl` asks Elasticsearch. The three MUST give the same documents.
"""
