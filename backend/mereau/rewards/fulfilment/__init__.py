"""Physical rewards on their way: from the order to the parcel that arrives or comes back."""
