"""Codes that earn when they are claimed: printed, scanned or typed."""
