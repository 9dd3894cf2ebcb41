"""Many light agents on one machine: real management planes and real rules, without devices and without a network between them."""
