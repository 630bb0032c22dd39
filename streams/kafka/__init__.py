"""The stages on Kafka: topics, clients, tasks, and the journal that keeps state with positions.

In: topics that shippers fill. Out: topics that people and other programs read. No judgement here.
"""
