"""Addresses, custody and signing of managed wallets."""
