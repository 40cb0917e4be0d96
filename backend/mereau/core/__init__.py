"""What every package stands on: settings, database, clock, ids, amounts, errors, logging."""
