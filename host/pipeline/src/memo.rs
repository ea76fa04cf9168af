//! Remembers answers of pure functions: the same request to the same code is not asked twice.
