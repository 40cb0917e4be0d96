"""The public trail: what anyone needs, beside a node, to derive every balance again."""
