"""The model of `decide` by another hand, its random cases, the properties, and the faults that they must see."""
