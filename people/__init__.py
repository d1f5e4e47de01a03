"""The server's half of people: reserving their ids, hospitals, looking up."""
