"""What the rules make of events and metrics: one asset per rule, then the proposal of all."""
