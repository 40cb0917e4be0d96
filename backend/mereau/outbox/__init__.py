"""Durable domain events, written in the transaction that caused them."""
