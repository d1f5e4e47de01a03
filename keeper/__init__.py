"""The key keeper: the only one who can unwrap a record's key. It knows no SQLAlchemy."""
