"""Elasticsearch as a projection of the store: what analysts query, and what can be thrown away.

Templates, documents and roles are data; the client and what it sends are beside them.
"""
