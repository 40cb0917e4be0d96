"""Which lots stand in for which: a refund brings tokens back as new lots of the old issuer."""
