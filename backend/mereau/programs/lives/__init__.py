"""When tokens become spendable and how long they live."""
